package trace

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/telemetry/telemetrytest"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// Who says that his trace is recorded is not believed. Its id goes along all the same, and is in the log.
func strangerHasNothingRecorded(t *testing.T, binaries *topology.Binaries) {
	t.Parallel()
	receiver := receive(t)
	env := settings(receiver.URL())
	env["OTEL_TRACES_SAMPLER"], env["OTEL_TRACES_SAMPLER_ARG"] = "parentbased_traceidratio", "0"
	h := house.AllInOne.Open(t, binaries, house.Options{Provider: true, Env: env})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	h.KillProvider() // So that there is something to be logged.
	place(ctx, t, h.Customer(t), "00-"+ofClient+"-"+fromClient+"-01")
	told := func(l telemetrytest.Line) bool {
		return l.Text("module") == "payments" && l.Text("correlation_id") == "trace-test"
	}
	if !receiver.Await(ctx, func() bool { return slices.ContainsFunc(receiver.Lines(), told) }) {
		t.Fatal("no line of the log came that tells of the provider")
	}
	lines := receiver.Lines()
	line := lines[slices.IndexFunc(lines, told)]
	if got := line.Trace(); got != ofClient {
		t.Errorf("the line %q is of the trace %q, want the client's", line.GetBody().GetStringValue(), got)
	}
	h.Unit("all").Process().Expect(t, `"correlation_id":"trace-test","trace_id":"`+ofClient+`"`) // It may be written a moment after it is sent.
	h.Unit("all").Process().Stop(t)                                                              // It sends what it has before it ends.
	if spans := receiver.All(); len(spans) > 0 {
		t.Errorf("%d spans came", len(spans))
	}
}

// A collector that is not there, and one that takes everything and says nothing, are told of once, and the shop goes on.
func collectorIsAway(t *testing.T, binaries *topology.Binaries) {
	t.Parallel()
	env := settings("http://" + topology.Reserve(t))
	maps.Copy(env, map[string]string{
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://" + topology.Listen(t) + "/v1/metrics", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "100",
		"OTEL_BSP_EXPORT_TIMEOUT": "200", "OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5", "OTEL_BLRP_EXPORT_TIMEOUT": "200",
	})
	h := house.AllInOne.Open(t, binaries, house.Options{Env: env})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	customer := h.Customer(t)
	complaints := func() int { return strings.Count(h.Logs(), "telemetry cannot be sent") }
	for range 3 {
		order := place(ctx, t, customer, "")
		if _, err := customer.Await(ctx, order, ordersv1.OrderState_ORDER_STATE_CONFIRMED); err != nil {
			t.Fatal(err)
		}
	}
	h.Unit("all").Process().Expect(t, `"what":"traces"`)
	h.Unit("all").Process().Expect(t, `"what":"metrics"`)
	h.Unit("all").Process().Stop(t)
	if got := complaints(); got < 2 || got > 4 { // Traces, metrics, the log, and what the libraries say besides.
		t.Errorf("it was said %d times:\n%s", got, h.Logs())
	}
}
