package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/lmittmann/tint"
	"go.opentelemetry.io/otel/trace"

	"github.com/cleave-go/cleave/platform/rpc"
)

// NewLog returns the log of a process: for people on a terminal, for programs everywhere else, unless the format is text or json and not
// auto. Colours are for terminals, and not for those who have set NO_COLOR. A line that is written with the context of a call, a job, a step of a saga
// or the handler of an event says to which business and which trace it belongs.
func NewLog(file *os.File, format string, level slog.Level) *slog.Logger {
	terminal := isTerminal(file)
	if format == "json" || format == "auto" && !terminal {
		return slog.New(belonging{slog.NewJSONHandler(file, &slog.HandlerOptions{Level: level})})
	}
	return slog.New(belonging{aligned{tint.NewTextHandler(file, &tint.Options{
		Level: level, TimeFormat: "15:04:05.000", NoColor: !terminal || os.Getenv("NO_COLOR") != "",
	})}})
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// belonging adds to a line where it belongs.
type belonging struct{ slog.Handler }

func (h belonging) Handle(ctx context.Context, record slog.Record) error {
	metadata := rpc.MetadataOf(ctx)
	if metadata.CorrelationID != "" {
		record.AddAttrs(slog.String("correlation_id", metadata.CorrelationID))
	}
	if span := spanOf(ctx, metadata); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h belonging) WithAttrs(attrs []slog.Attr) slog.Handler {
	return belonging{h.Handler.WithAttrs(attrs)}
}
func (h belonging) WithGroup(name string) slog.Handler { return belonging{h.Handler.WithGroup(name)} }

// spanOf returns the span that a line belongs to, recorded or not.
func spanOf(ctx context.Context, metadata rpc.Metadata) trace.SpanContext {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		return span
	}
	return rpc.ParseTrace(metadata.Trace)
}

// messageWidth is that of most messages.
const messageWidth = 40

// aligned has what follows short messages begin in one column.
type aligned struct{ slog.Handler }

func (h aligned) Handle(ctx context.Context, record slog.Record) error {
	record.Message = fmt.Sprintf("%-*s", messageWidth, record.Message)
	return h.Handler.Handle(ctx, record)
}

func (h aligned) WithAttrs(attrs []slog.Attr) slog.Handler {
	return aligned{h.Handler.WithAttrs(attrs)}
}
func (h aligned) WithGroup(name string) slog.Handler { return aligned{h.Handler.WithGroup(name)} }

// sending sends what another handler writes. What that leaves out is not sent either.
type sending struct{ write, send slog.Handler }

func (h sending) Enabled(ctx context.Context, level slog.Level) bool {
	return h.write.Enabled(ctx, level)
}

func (h sending) Handle(ctx context.Context, record slog.Record) error {
	metadata := rpc.MetadataOf(ctx)
	sent := record.Clone()
	if metadata.CorrelationID != "" {
		sent.AddAttrs(slog.String("correlation_id", metadata.CorrelationID))
	}
	_ = h.send.Handle(trace.ContextWithSpanContext(ctx, spanOf(ctx, metadata)), sent) // It only puts it in a queue.
	return h.write.Handle(ctx, record)
}

func (h sending) WithAttrs(attrs []slog.Attr) slog.Handler {
	return sending{h.write.WithAttrs(attrs), h.send.WithAttrs(attrs)}
}

func (h sending) WithGroup(name string) slog.Handler {
	return sending{h.write.WithGroup(name), h.send.WithGroup(name)}
}
