package event

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// messagingAttributes describe events of a module on their way to a subscriber.
func messagingAttributes(publisher, subscriber string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKey.String("cleave"), semconv.MessagingDestinationName(publisher), semconv.MessagingDestinationSubscriptionName(subscriber),
	}
}

// startDelivery begins the span of a delivery, if the trace of one of the events is recorded. It belongs to the first such trace and has
// links to the others: a delivery has one parent, and a batch many.
func startDelivery(ctx context.Context, publisher, subscriber string, batch []*eventv1.Event) (context.Context, trace.Span) {
	var first string
	var links []trace.Link
	for _, event := range batch {
		switch kept := event.GetTrace(); {
		case !rpc.Sampled(kept):
		case first == "":
			first = kept
		default:
			links = append(links, trace.Link{SpanContext: rpc.ParseTrace(kept)})
		}
	}
	if first == "" {
		return ctx, trace.SpanFromContext(context.Background()) // One that does nothing.
	}
	return rpc.StartSpan(rpc.WithMetadata(ctx, rpc.Metadata{Trace: first}), "send "+publisher, trace.WithSpanKind(trace.SpanKindProducer), trace.WithLinks(links...),
		trace.WithAttributes(semconv.MessagingOperationName("send"), semconv.MessagingOperationTypeSend, semconv.MessagingBatchMessageCount(len(batch))),
		trace.WithAttributes(messagingAttributes(publisher, subscriber)...))
}

// startHandler begins the span of an event that is applied, with the context of its handler. It is a child of what published the event,
// however late and in which process that is, and has a link to the delivery.
func startHandler(delivery, ctx context.Context, publisher, subscriber string, event *eventv1.Event) (context.Context, trace.Span) {
	if !rpc.Sampled(event.GetTrace()) {
		return ctx, trace.SpanFromContext(context.Background())
	}
	return rpc.StartSpan(ctx, "process "+event.GetType(), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(trace.LinkFromContext(delivery)),
		trace.WithAttributes(semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess, semconv.MessagingMessageID(event.GetId())),
		trace.WithAttributes(messagingAttributes(publisher, subscriber)...))
}

// about returns a context for what is logged about an event.
func about(ctx context.Context, event *eventv1.Event) context.Context {
	return rpc.WithMetadata(ctx, rpc.Metadata{CorrelationID: event.GetCorrelationId(), Trace: event.GetTrace()})
}
