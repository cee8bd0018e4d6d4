package job

import (
	"context"
	"strconv"

	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/cleave-go/cleave/platform/rpc"
)

// OnBehalf returns the context for one of the many things that a sweep does, whose row has kept its origin (see [rpc.Origin]), and a span
// of it that [rpc.EndSpan] ends. Without an origin, or with one that cannot be read, it is done on nobody's behalf.
func OnBehalf(ctx context.Context, sweep string, origin []byte) (context.Context, trace.Span) {
	onBehalf, err := rpc.WithOrigin(ctx, origin)
	if err != nil {
		onBehalf = rpc.WithMetadata(ctx, rpc.Metadata{})
	}
	return rpc.StartSpan(onBehalf, "process "+sweep, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("cleave"), semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
		semconv.MessagingDestinationName(sweep)))
}

// startSpan begins the span of one attempt at a job. It is a child of what inserted the job, however late it is.
func startSpan(ctx context.Context, row *rivertype.JobRow) (context.Context, trace.Span) {
	return rpc.StartSpan(ctx, "process "+row.Kind, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("river"), semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
		semconv.MessagingDestinationName(row.Kind), semconv.MessagingMessageID(strconv.FormatInt(row.ID, 10)), attribute.Int("cleave.attempt", row.Attempt)))
}

// endSpan ends the span of an attempt that ended as the error says.
func endSpan(span trace.Span, err error) {
	if putOff(err) {
		err = nil
	}
	rpc.EndSpan(span, err)
}
