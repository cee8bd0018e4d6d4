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

// startSpan begins the span of one attempt at a job. It is a child of what inserted the job, however late it is.
func startSpan(ctx context.Context, row *rivertype.JobRow) (context.Context, trace.Span) {
	return rpc.StartSpan(ctx, "process "+row.Kind, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("river"), semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
		semconv.MessagingDestinationName(row.Kind), semconv.MessagingMessageID(strconv.FormatInt(row.ID, 10)), attribute.Int("cleave.attempt", row.Attempt)))
}
