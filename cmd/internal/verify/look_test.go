package verify

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
)

// port is an operator's port with the module orders, to which analytics listens.
type port struct {
	ordersv1connect.UnimplementedFactServiceHandler
	eventv1connect.UnimplementedEventServiceHandler
	// silent is what the module says after its first order: nothing, for as long as somebody listens.
	silent bool
}

func (p port) StreamOrderFacts(ctx context.Context, _ *ordersv1.StreamOrderFactsRequest, stream *connect.ServerStream[ordersv1.StreamOrderFactsResponse]) error {
	if err := stream.Send(&ordersv1.StreamOrderFactsResponse{Facts: []*ordersv1.OrderFact{{Id: "ord_1"}}}); err != nil {
		return err
	}
	if p.silent {
		<-ctx.Done()
	}
	return connect.NewError(connect.CodeUnavailable, context.DeadlineExceeded)
}

func (port) ListSubscribers(context.Context, *eventv1.ListSubscribersRequest) (*eventv1.ListSubscribersResponse, error) {
	return &eventv1.ListSubscribersResponse{Subscribers: []*eventv1.Subscriber{{Name: "analytics"}}}, nil
}

func (p port) open(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(ordersv1connect.NewFactServiceHandler(p))
	_, events := eventv1connect.NewEventServiceHandler(p)
	mux.Handle("/modules/orders/", http.StripPrefix("/modules/orders", events))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(client.CloseIdleConnections)
	return server.URL
}

// TestCannotLook holds that whoever cannot be looked at is named, and that nobody is waited for without end. It does not run beside
// others, because it has little patience.
func TestCannotLook(t *testing.T) {
	for _, c := range []struct {
		name  string
		house House
		want  string
	}{
		{"nobody", House{}, "holds the module inventory"},
		{"no payments", House{"orders": "x", "inventory": "x"}, "holds the module payments; there are inventory, orders"},
		{"orders break off", House{"orders": port{}.open(t), "inventory": "x", "payments": "x"}, "cannot look at module orders: context deadline exceeded"},
		{"orders stop talking", House{"orders": port{silent: true}.open(t), "inventory": "x", "payments": "x"}, "cannot look at module orders: it says nothing any more"},
	} {
		before := patience
		patience = 500 * time.Millisecond
		report, err := Run(t.Context(), Options{House: c.house})
		patience = before
		if err == nil || report != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	o := Options{House: House{"orders": port{}.open(t)}}
	if err := o.events(t.Context(), newBook(0)); err == nil || !strings.Contains(err.Error(), "analytics listens to orders, and no process that was named holds it") ||
		!strings.Contains(err.Error(), "cleave events remove orders analytics") {
		t.Errorf("with a subscriber that was not named: %v", err)
	}
}
