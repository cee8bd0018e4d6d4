package chaos

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/test/house"
)

// audit compares what the customers know with what orders and inventory say, on its own: it shares nothing with cleave verify but the
// facts. Quiet is when the last process was killed or the last customer answered, whatever was later.
func (c *crowd) audit(ctx context.Context, t *testing.T, h *house.House, quiet time.Time) summary {
	t.Helper()
	orders, inventory := h.Unit("orders").Admin(), h.Unit("inventory").Admin()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	orderFacts := facts(ctx, t, func() (*connect.ServerStreamForClient[ordersv1.StreamOrderFactsResponse], error) {
		return ordersv1connect.NewFactServiceClient(client, orders).StreamOrderFacts(ctx, &ordersv1.StreamOrderFactsRequest{})
	}, (*ordersv1.StreamOrderFactsResponse).GetFacts)
	reservations := facts(ctx, t, func() (*connect.ServerStreamForClient[inventoryv1.StreamReservationFactsResponse], error) {
		return inventoryv1connect.NewFactServiceClient(client, inventory).StreamReservationFacts(ctx, &inventoryv1.StreamReservationFactsRequest{})
	}, (*inventoryv1.StreamReservationFactsResponse).GetFacts)
	stock := facts(ctx, t, func() (*connect.ServerStreamForClient[inventoryv1.StreamStockFactsResponse], error) {
		return inventoryv1connect.NewFactServiceClient(client, inventory).StreamStockFacts(ctx, &inventoryv1.StreamStockFactsRequest{})
	}, (*inventoryv1.StreamStockFactsResponse).GetFacts)

	s := summary{states: map[string]int{}}
	sold := map[string]int64{} // as the customers know it
	for _, o := range orderFacts {
		p, known := c.book[o.GetId()]
		if !known {
			t.Errorf("order %s is %s, and nobody has been told of it: a request that was repeated has made two orders", o.GetId(), o.GetState())
			continue
		}
		if reason, right := p.end(c.shelf, p.cancelled)[o.GetState()]; !right || reason != o.GetReason() {
			t.Errorf("order %s (paid with %s, cancelled: %t) ended %s %s", o.GetId(), p.method, p.cancelled, o.GetState(), o.GetReason())
		}
		s.count(o, quiet)
		if o.GetState() == ordersv1.OrderState_ORDER_STATE_CONFIRMED {
			for sku, quantity := range p.lines {
				sold[sku] += quantity
			}
		}
	}
	if len(orderFacts) != len(c.book) {
		t.Errorf("%d orders were acknowledged, and there are %d", len(c.book), len(orderFacts))
	}
	if s.slowest > terminalWithin {
		t.Errorf("an order ended %v after the last kill, want %v at the most", s.slowest, terminalWithin)
	}

	set := map[string]int64{} // as inventory knows it
	for _, r := range reservations {
		if r.GetState() == inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED {
			for _, l := range r.GetLines() {
				set[l.GetSku()] += l.GetQuantity()
			}
		}
	}
	for _, f := range stock {
		sku := f.GetSku()
		if !slices.Contains(c.shelf.skus(), sku) {
			continue // Of the demo catalogue.
		}
		if f.GetOnHand() != c.shelf.pieces(sku) || f.GetReserved() != sold[sku] || set[sku] != sold[sku] {
			t.Errorf("of %d pieces of %s customers have bought %d; inventory has sold %d, and of %d on hand %d are set aside",
				c.shelf.pieces(sku), sku, sold[sku], set[sku], f.GetOnHand(), f.GetReserved())
		}
	}
	if sold[c.shelf.hot] != c.shelf.hotPieces {
		t.Errorf("of %d pieces of what everybody wanted %d are sold", c.shelf.hotPieces, sold[c.shelf.hot])
	}
	return s
}

// facts reads a stream to its end.
func facts[R, F any](ctx context.Context, t *testing.T, open func() (*connect.ServerStreamForClient[R], error), page func(*R) []F) []F {
	t.Helper()
	stream, err := open()
	if err != nil {
		t.Fatalf("read facts: %v", err)
	}
	defer stream.Close()
	var all []F
	for stream.Receive() {
		all = append(all, page(stream.Msg())...)
	}
	if err := stream.Err(); err != nil {
		t.Fatalf("read facts: %v", err)
	}
	return all
}

// summary is what a run tells.
type summary struct {
	states  map[string]int
	slowest time.Duration // From the quiet to the end of the last order; nothing if that was before.
}

// count counts an order.
func (s *summary) count(o *ordersv1.OrderFact, quiet time.Time) {
	words := strings.ToLower(strings.TrimPrefix(o.GetState().String(), "ORDER_STATE_"))
	if o.GetReason() != "" {
		words += " " + o.GetReason()
	}
	s.states[words]++
	s.slowest = max(s.slowest, o.GetUpdateTime().AsTime().Sub(quiet))
}

// counted returns counts in one line, in the order of what is counted.
func counted(counts map[string]int) string {
	var words []string
	for what, n := range counts {
		words = append(words, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}
