package trace

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/telemetry/telemetrytest"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

const (
	patience = 90 * time.Second
	// ofClient is the id of the trace that a client says its request belongs to, and fromClient that of its span.
	ofClient   = "4bf92f3577b34da6a3ce929d0e0e4736"
	fromClient = "00f067aa0ba902b7"
)

// purchase are the spans of a purchase: each with those that led to it, the first one first. Spans of the network are left out, and those of
// statements.
var purchase = func() []string {
	const (
		placed  = "POST /cleave.orders.v1.OrderService/PlaceOrder"
		method  = placed + " > cleave.orders.v1.OrderService/PlaceOrder"
		capture = method + " > do checkout/capture"
		message = capture + " > process orders.v1.OrderConfirmed"
		deliver = capture + " > send orders > cleave.platform.event.v1.DeliveryService/Deliver"
	)
	return []string{
		placed,
		method,
		method + " > cleave.catalog.v1.CatalogService/BatchGetVariants",
		method + " > do checkout/reserve",
		method + " > do checkout/reserve > cleave.inventory.v1.InventoryService/Reserve",
		method + " > do checkout/authorize",
		method + " > do checkout/authorize > cleave.payments.v1.PaymentService/AuthorizePayment",
		method + " > do checkout/commit",
		method + " > do checkout/commit > cleave.inventory.v1.InventoryService/CommitReservation",
		capture,
		capture + " > cleave.payments.v1.PaymentService/CapturePayment",
		capture + " > send orders",
		deliver,
		message,
		message + " > process notifications.send",
	}
}()

// TestTelemetry shares the programs among its parts.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	binaries := topology.NewBinaries(t)
	t.Run("a purchase is one trace", func(t *testing.T) { purchaseIsOneTrace(t, binaries) })
	t.Run("a stranger has nothing recorded", func(t *testing.T) { strangerHasNothingRecorded(t, binaries) })
	t.Run("a collector that is away", func(t *testing.T) { collectorIsAway(t, binaries) })
}

// A purchase is one trace: through the edge, every module, the steps of its saga, an event and what comes of that, and it goes on in the
// process after the one that has begun it. It is the same whether modules call each other in one process or over the network.
func purchaseIsOneTrace(t *testing.T, binaries *topology.Binaries) {
	t.Parallel()
	for _, c := range []struct {
		layout   house.Layout
		orders   string // The unit that is restarted.
		services []string
	}{
		{house.AllInOne, "all", []string{"cleave"}},
		{house.AllApart, "orders", []string{"catalog", "edge", "inventory", "notifications", "orders", "payments"}},
	} {
		t.Run(c.layout.Name, func(t *testing.T) {
			t.Parallel()
			receiver := receive(t)
			h := c.layout.Open(t, binaries, house.Options{Provider: true, Env: settings(receiver.URL())})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			customer := h.Customer(t)

			h.KillProvider() // So that the saga stands still at the payment.
			order := place(ctx, t, customer, "00-"+ofClient+"-"+fromClient+"-00")
			before := func(s telemetrytest.Span) bool { return s.GetName() == "do checkout/authorize" }
			if !receiver.Await(ctx, func() bool { return slices.ContainsFunc(receiver.Spans(ofClient), before) }) {
				t.Fatalf("no step came before the restart: %v", names(receiver.Spans(ofClient)))
			}
			h.Unit(c.orders).Restart(t)
			h.RestartProvider(t)
			if _, err := customer.Await(ctx, order, ordersv1.OrderState_ORDER_STATE_CONFIRMED); err != nil {
				t.Fatal(err)
			}
			if !receiver.Await(ctx, func() bool { return len(missing(receiver.Spans(ofClient))) == 0 }) {
				t.Fatalf("these spans did not come:\n%s\namong\n%s", strings.Join(missing(receiver.Spans(ofClient)), "\n"), strings.Join(paths(receiver.Spans(ofClient)), "\n"))
			}
			spans := receiver.Spans(ofClient)
			for _, path := range paths(spans) {
				// What is held is held for longer when the payment has to wait.
				if !slices.Contains(purchase, path) && !strings.HasSuffix(path, "do checkout/authorize > cleave.inventory.v1.InventoryService/ExtendReservation") {
					t.Errorf("there is a span %s", path)
				}
			}
			services, instances := map[string]bool{}, map[string]bool{}
			for _, s := range spans {
				services[s.Service] = true
				if strings.HasPrefix(s.GetName(), "do checkout/") {
					instances[s.Instance] = true
				}
			}
			if got := slices.Sorted(maps.Keys(services)); !slices.Equal(got, c.services) {
				t.Errorf("spans came from %v, want %v", got, c.services)
			}
			if len(instances) != 2 {
				t.Errorf("steps were run by %d processes, want one before the restart and one after it", len(instances))
			}
			checkStatements(t, spans)
			checkAttributes(t, spans, order)
			if !receiver.Await(ctx, func() bool {
				return receiver.HasMetric(c.services[0], "rpc_server_call_duration_seconds") && receiver.HasMetric(orders(c.services), "cleave_saga_step_duration_seconds")
			}) {
				t.Error("the metrics did not come")
			}
		})
	}
}

func orders(services []string) string {
	if len(services) == 1 {
		return services[0]
	}
	return "orders"
}

// checkStatements holds that every module has statements in the trace, with their text and nothing that was put into it.
func checkStatements(t *testing.T, spans []telemetrytest.Span) {
	t.Helper()
	byID := index(spans)
	modules := map[string]bool{}
	for _, s := range spans {
		if s.Text("db.query.text") == "" {
			continue
		}
		if s.GetKind() != tracev1.Span_SPAN_KIND_CLIENT || s.Text("db.system.name") != "postgresql" {
			t.Errorf("statement %s is of kind %s and system %q", s.GetName(), s.GetKind(), s.Text("db.system.name"))
		}
		for _, a := range s.GetAttributes() {
			if strings.Contains(a.GetKey(), "param") {
				t.Errorf("a statement says %s", a)
			}
		}
		for up, ok := byID[string(s.GetParentSpanId())]; ok; up, ok = byID[string(up.GetParentSpanId())] {
			if module := up.Text("cleave.module"); module != "" {
				modules[module] = true
				break
			}
		}
	}
	want := slices.DeleteFunc(slices.Clone(house.Modules), func(module string) bool { return module == "identity" }) // Nobody signs in for it.
	if got := slices.Sorted(maps.Keys(modules)); !slices.Equal(got, want) {
		t.Errorf("there are statements of %v, want %v", got, want)
	}
}

// checkAttributes holds what spans say, by the conventions.
func checkAttributes(t *testing.T, spans []telemetrytest.Span, order string) {
	t.Helper()
	type said struct {
		kind       tracev1.Span_SpanKind
		attributes map[string]string
	}
	want := map[string]said{
		"POST /cleave.orders.v1.OrderService/PlaceOrder": {tracev1.Span_SPAN_KIND_SERVER, map[string]string{
			"http.request.method": "POST", "http.route": "/cleave.orders.v1.OrderService/PlaceOrder", "http.response.status_code": "200",
		}},
		"cleave.orders.v1.OrderService/PlaceOrder": {tracev1.Span_SPAN_KIND_SERVER, map[string]string{
			"rpc.system.name": "connectrpc", "rpc.method": "cleave.orders.v1.OrderService/PlaceOrder", "cleave.module": "orders", "cleave.caller": "edge", "cleave.correlation_id": "trace-test",
		}},
		"do checkout/capture": {tracev1.Span_SPAN_KIND_INTERNAL, map[string]string{
			"cleave.saga.kind": "checkout", "cleave.saga.step": "capture", "cleave.saga.outcome": "did", "cleave.saga.id": order,
		}},
		"send orders": {tracev1.Span_SPAN_KIND_PRODUCER, map[string]string{
			"messaging.operation.type": "send", "messaging.destination.name": "orders", "messaging.destination.subscription.name": "notifications",
		}},
		"process orders.v1.OrderConfirmed": {tracev1.Span_SPAN_KIND_CONSUMER, map[string]string{
			"messaging.system": "cleave", "messaging.operation.type": "process", "messaging.destination.name": "orders", "cleave.correlation_id": "trace-test",
		}},
		"process notifications.send": {tracev1.Span_SPAN_KIND_CONSUMER, map[string]string{"messaging.operation.type": "process", "cleave.correlation_id": "trace-test"}},
	}
	for name, said := range want {
		i := slices.IndexFunc(spans, func(s telemetrytest.Span) bool {
			return s.GetName() == name && s.GetStatus().GetCode() != tracev1.Status_STATUS_CODE_ERROR && s.GetKind() != tracev1.Span_SPAN_KIND_CLIENT
		})
		if i < 0 {
			t.Errorf("there is no span %s without an error", name)
			continue
		}
		if got := spans[i].GetKind(); got != said.kind {
			t.Errorf("%s is %s, want %s", name, got, said.kind)
		}
		for attribute, value := range said.attributes {
			if got := spans[i].Text(attribute); got != value {
				t.Errorf("%s has %s %q, want %q", name, attribute, got, value)
			}
		}
	}
	failed := slices.ContainsFunc(spans, func(s telemetrytest.Span) bool {
		return s.GetName() == "do checkout/authorize" && s.Text("cleave.saga.outcome") != "did"
	})
	if !failed {
		t.Error("no span tells of the payment that was not possible at first")
	}
}

// receive returns a receiver until the end of the test.
func receive(t *testing.T) *telemetrytest.Receiver {
	receiver := telemetrytest.Start()
	t.Cleanup(receiver.Close)
	return receiver
}

// settings have a unit send everything, soon.
func settings(endpoint string) map[string]string {
	return map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_LOGS_EXPORTER": "otlp", "OTEL_BSP_SCHEDULE_DELAY": "100",
		"OTEL_BLRP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "1000",
	}
}

// place places an order in a trace of the client, and returns its id.
func place(ctx context.Context, t *testing.T, customer *house.Customer, traceparent string) string {
	t.Helper()
	sku, err := customer.Product(ctx, 1999, 10)
	if err != nil {
		t.Fatal(err)
	}
	quote, err := customer.Quote(ctx, sku, 1)
	if err != nil {
		t.Fatal(err)
	}
	traced, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Traceparent", traceparent)
	info.RequestHeader().Set("X-Correlation-Id", "trace-test")
	placed, err := customer.Orders.PlaceOrder(traced, &ordersv1.PlaceOrderRequest{RequestId: id.New("rq"), QuoteId: quote, PaymentMethod: "pm_card_visa"})
	if err != nil {
		t.Fatal(err)
	}
	return placed.GetOrder().GetId()
}

func index(spans []telemetrytest.Span) map[string]telemetrytest.Span {
	byID := map[string]telemetrytest.Span{}
	for _, s := range spans {
		byID[string(s.GetSpanId())] = s
	}
	return byID
}

// paths returns the names of all spans but those of statements and of the network, each with those that led to it, and none twice.
func paths(spans []telemetrytest.Span) []string {
	byID, found := index(spans), map[string]bool{}
	for _, s := range spans {
		if left := s.GetKind() == tracev1.Span_SPAN_KIND_CLIENT; left {
			continue
		}
		path := s.GetName()
		for at := s; fmt.Sprintf("%x", at.GetParentSpanId()) != fromClient; {
			up, ok := byID[string(at.GetParentSpanId())]
			if !ok { // It may still come.
				path = "? > " + path
				break
			}
			if at = up; at.GetKind() != tracev1.Span_SPAN_KIND_CLIENT {
				path = at.GetName() + " > " + path
			}
		}
		found[path] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// missing returns the spans of a purchase that are not there.
func missing(spans []telemetrytest.Span) []string {
	there := paths(spans)
	return slices.DeleteFunc(slices.Clone(purchase), func(path string) bool { return slices.Contains(there, path) })
}

func names(spans []telemetrytest.Span) (list []string) {
	for _, s := range spans {
		list = append(list, s.GetName())
	}
	return list
}
