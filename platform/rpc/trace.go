package rpc

import (
	"context"
	"encoding/hex"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// tracer makes the spans of the house, if the process has somewhere to send them: see platform/telemetry. Otherwise its spans do nothing.
var tracer = otel.Tracer("github.com/cleave-go/cleave")

// noSpan is a span that does nothing.
var noSpan = trace.SpanFromContext(context.Background())

// Names of attributes of spans that no convention has.
const (
	attrModule        = attribute.Key("cleave.module")
	attrCaller        = attribute.Key("cleave.caller")
	attrCorrelationID = attribute.Key("cleave.correlation_id")
)

// StartSpan begins a span of the trace that the metadata of ctx carry, if that trace is recorded, and otherwise returns ctx and a span
// that does nothing. What is called, published, inserted and begun with the context that it returns belongs to the span. [EndSpan] ends it.
//
// A method, a job, a step and the handler of an event have a span of their own already: a module needs this only for what it does
// besides, like asking a provider.
func StartSpan(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	metadata := MetadataOf(ctx)
	if !Sampled(metadata.Trace) {
		return ctx, noSpan
	}
	ctx, span := tracer.Start(withParent(ctx, metadata.Trace), name, options...)
	span.SetAttributes(attrCorrelationID.String(metadata.CorrelationID))
	metadata.Trace = FormatTrace(span.SpanContext())
	return trace.ContextWithSpan(WithMetadata(ctx, metadata), span), span
}

// OpenTrace begins the span of a request that comes from outside of the house, with the traceparent that the client sends. The id of a
// client's trace is kept, but whether the trace is recorded is decided here: a stranger could have everything recorded otherwise.
func OpenTrace(ctx context.Context, traceparent, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	return tracer.Start(trace.ContextWithRemoteSpanContext(ctx, ForeignTrace(traceparent)), name, options...)
}

// ForeignTrace returns what a stranger says of his trace, but for whether it is recorded.
func ForeignTrace(traceparent string) trace.SpanContext {
	foreign := ParseTrace(traceparent)
	return foreign.WithTraceFlags(foreign.TraceFlags() &^ trace.FlagsSampled)
}

// EndSpan ends a span that went as the error says.
func EndSpan(span trace.Span, err error) {
	if err != nil && span.IsRecording() {
		// Its text is in the log, under the id of the trace: it may name what is nobody's business who looks at traces.
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String(connect.CodeOf(err).String()))
	}
	span.End()
}

// withParent returns a context with the span that a trace has got to, unless ctx has it.
func withParent(ctx context.Context, traceparent string) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, ParseTrace(traceparent))
}

// withoutOther returns a context without the span of ctx, if metadata with another trace are put into it.
func withoutOther(ctx context.Context, traceparent string) context.Context {
	if span := trace.SpanContextFromContext(ctx); !span.IsValid() || FormatTrace(span) == traceparent {
		return ctx
	}
	return trace.ContextWithSpan(ctx, noSpan)
}

// Sampled reports whether a traceparent says that its trace is recorded. It is asked at every call.
func Sampled(traceparent string) bool {
	return len(traceparent) == traceparentSize && (traceparent[traceparentSize-1] == '1' || traceparent[traceparentSize-1] == '3')
}

// traceparentSize is that of version 0, the only one that this house writes.
const traceparentSize = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// ParseTrace reads a traceparent. What is none is the zero value.
func ParseTrace(traceparent string) trace.SpanContext {
	if len(traceparent) != traceparentSize {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": traceparent})
	return trace.SpanContextFromContext(ctx)
}

// FormatTrace writes a traceparent; "" if there is no trace.
func FormatTrace(c trace.SpanContext) string {
	if !c.IsValid() {
		return ""
	}
	traceID, spanID := c.TraceID(), c.SpanID()
	text := make([]byte, 0, traceparentSize)
	text = append(text, "00-"...)
	text = hex.AppendEncode(text, traceID[:])
	text = append(text, '-')
	text = hex.AppendEncode(text, spanID[:])
	text = append(text, '-')
	return string(hex.AppendEncode(text, []byte{byte(c.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom))}))
}
