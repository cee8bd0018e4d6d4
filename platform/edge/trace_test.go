package edge_test

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/cleave-go/cleave/platform/edge"
)

// requests gets the spans of requests when they end, which is after their answers. A process has one place to which it sends spans.
type requests struct {
	*tracetest.SpanRecorder
	ended chan sdktrace.ReadOnlySpan
}

func (r requests) OnEnd(s sdktrace.ReadOnlySpan) {
	if !strings.HasPrefix(s.Name(), "cleave.") { // Those are of the methods.
		r.ended <- s
	}
}

// The span of a request is called after its route, as the client has asked for it, and has the status that the client got, also where the
// request gets no further than the door. It belongs to the client's trace.
func TestSpansOfRequests(t *testing.T) {
	t.Parallel()
	requests := requests{tracetest.NewSpanRecorder(), make(chan sdktrace.ReadOnlySpan, 10)}
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSpanProcessor(requests)))
	d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) { c.Trace = true })
	d.call = fine
	for i, c := range []struct {
		verb, path, body, want string
	}{
		{"POST", callPath, "{}", "POST " + callPath + " 200 " + callPath},
		{"POST", "/v1/calls/x", "{}", "POST /v1/calls/{case} 201 /v1/calls/{case}"},
		{"GET", "/v1/nothing/usr_1", "", "GET 404 "},
		{"GET", "/", "", "GET 200 "},
	} {
		trace := fmt.Sprintf("4bf92f3577b34da6a3ce929d0e0e47%02x", i)
		answer := d.ask(t, c.verb, c.path, c.body, "Content-Type: application/json", "Traceparent: 00-"+trace+"-00f067aa0ba902b7-00")
		var span sdktrace.ReadOnlySpan
		select {
		case span = <-requests.ended:
		case <-limited(t).Done():
			t.Fatalf("%s %s has no span", c.verb, c.path)
		}
		said := map[string]string{}
		for _, a := range span.Attributes() {
			said[string(a.Key)] = a.Value.Emit()
		}
		got := fmt.Sprintf("%s %s %s", span.Name(), said["http.response.status_code"], said["http.route"])
		if got != c.want || span.SpanContext().TraceID().String() != trace || span.Parent().SpanID().String() != "00f067aa0ba902b7" {
			t.Errorf("%s %s, answered with %d, has the span %q with the parent %s, want %q", c.verb, c.path, answer.status, got, span.Parent().SpanID(), c.want)
		}
	}
}
