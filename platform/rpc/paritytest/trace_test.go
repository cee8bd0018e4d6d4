package paritytest

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// ended has the spans of the recorded traces of all tests: a process has one place to which it sends spans.
var ended = tracetest.NewSpanRecorder()

func init() {
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())), sdktrace.WithSpanProcessor(ended)))
}

// Calls make the same spans whichever way they are made, but for those that only a network needs.
func TestTrace(t *testing.T) {
	t.Parallel()
	const call = "cleave.platform.parity.v1.ParityService/Call"
	Run(t, Case{
		Name: "spans of nested calls", Want: answered().noted(
			"client > "+call,
			"client > "+call+" > "+call,
			"client > "+call+" > "+call+" not_found",
			"client > "+call+" > "+call+" internal Error",
			"client > "+call+" > a statement",
		),
		Do: func(_ *testing.T, p *Pair) Seen {
			from := randomSpan()
			p.OnCall(func(ctx context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				switch request.GetCase() {
				case "refused":
					return nil, rpc.NotFound("thing", "1")
				case "failed":
					panic("lost my keys")
				case "inner":
					return &parityv1.CallResponse{}, nil
				}
				for _, nested := range []string{"inner", "refused", "failed"} {
					_, _ = p.Nested.Call(ctx, &parityv1.CallRequest{Case: nested})
				}
				// As otelpgx makes one: of the span in the context, and not of the metadata.
				_, statement := otel.Tracer("statements").Start(ctx, "a statement")
				statement.End()
				return &parityv1.CallResponse{}, nil
			})
			seen := p.Call(rpc.WithMetadata(p.Context, rpc.Metadata{Trace: rpc.FormatTrace(from)}), &parityv1.CallRequest{})
			noteSpans(p, from)
			return seen
		},
	}, Case{
		Name: "a span of a stream", Want: Seen{}.noted("client > cleave.platform.parity.v1.ParityService/Watch"),
		Do: func(_ *testing.T, p *Pair) Seen {
			from := randomSpan()
			p.OnWatch(func(context.Context, *parityv1.WatchRequest, *connect.ServerStream[parityv1.WatchResponse]) error {
				return nil
			})
			seen := p.Watch(rpc.WithMetadata(p.Context, rpc.Metadata{Trace: rpc.FormatTrace(from)}), &parityv1.WatchRequest{})
			noteSpans(p, from)
			return seen
		},
	}, Case{
		Name: "a caller's span is none of the callee's", Want: answered().noted("no span"),
		Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				if trace.SpanContextFromContext(ctx).IsValid() || rpc.MetadataOf(ctx).Trace != "" {
					p.Note("a span")
				} else {
					p.Note("no span")
				}
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(trace.ContextWithSpanContext(p.Context, randomSpan()), &parityv1.CallRequest{})
		},
	})
}

// randomSpan returns a span of a recorded trace that nobody else knows.
func randomSpan() trace.SpanContext {
	var c trace.SpanContextConfig
	_, _ = rand.Read(c.TraceID[:]) // It does not fail.
	_, _ = rand.Read(c.SpanID[:])
	c.TraceFlags = trace.FlagsSampled
	return trace.NewSpanContext(c)
}

// noteSpans notes the spans of a trace but those of the network, with those that led to them, in the order in which they began.
func noteSpans(p *Pair, from trace.SpanContext) {
	var spans []sdktrace.ReadOnlySpan
	byID := map[trace.SpanID]sdktrace.ReadOnlySpan{}
	for _, s := range ended.Ended() {
		if s.SpanContext().TraceID() == from.TraceID() {
			spans = append(spans, s)
			byID[s.SpanContext().SpanID()] = s
		}
	}
	slices.SortFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	for _, s := range spans {
		if s.SpanKind() == trace.SpanKindClient {
			continue
		}
		path := s.Name()
		at := s
		for at.Parent().SpanID() != from.SpanID() {
			if at = byID[at.Parent().SpanID()]; at == nil {
				break
			}
			if at.SpanKind() != trace.SpanKindClient {
				path = at.Name() + " > " + path
			}
		}
		if at != nil {
			path = "client > " + path
		}
		for _, a := range s.Attributes() {
			if a.Key == "rpc.response.status_code" {
				path += " " + a.Value.AsString()
			}
		}
		if status := s.Status().Code; status != codes.Unset {
			path += " " + status.String()
		}
		p.Note("%s", path)
	}
}
