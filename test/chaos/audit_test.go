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
)

// audit compares what the customers know with what orders and inventory say, on its own: it shares nothing with cleave verify but the
// facts.
func (r *run) audit(t *testing.T, c *crowd) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	orders, inventory := r.Unit("orders").Admin(), r.Unit("inventory").Admin()
	kept := r.auditOrders(t, c, facts(ctx, t, ordersv1connect.NewFactServiceClient(client, orders).StreamOrderFacts,
		&ordersv1.StreamOrderFactsRequest{}, (*ordersv1.StreamOrderFactsResponse).GetFacts))
	keeper := inventoryv1connect.NewFactServiceClient(client, inventory)
	c.auditStock(t, kept,
		facts(ctx, t, keeper.StreamStockFacts, &inventoryv1.StreamStockFactsRequest{}, (*inventoryv1.StreamStockFactsResponse).GetFacts),
		facts(ctx, t, keeper.StreamReservationFacts, &inventoryv1.StreamReservationFactsRequest{}, (*inventoryv1.StreamReservationFactsResponse).GetFacts))
}

// facts reads a stream to its end.
func facts[Q, A, F any](
	ctx context.Context, t *testing.T, call func(context.Context, *Q) (*connect.ServerStreamForClient[A], error), r *Q, page func(*A) []F,
) (all []F) {
	t.Helper()
	stream, err := call(ctx, r)
	if err != nil {
		t.Fatalf("read facts: %v", err)
	}
	defer stream.Close()
	for stream.Receive() {
		all = append(all, page(stream.Msg())...)
	}
	if err := stream.Err(); err != nil {
		t.Fatalf("read facts: %v", err)
	}
	return all
}

// auditOrders holds that there are the orders that were acknowledged and no others, and that each has ended as it should and in time. It
// returns what became of the pieces of each SKU.
func (r *run) auditOrders(t *testing.T, c *crowd, orders []*ordersv1.OrderFact) map[string]fate {
	t.Helper()
	s := summary{states: map[string]int{}}
	fates := map[string]fate{}
	coupons := int64(0)
	for _, o := range orders {
		p, known := c.book[o.GetId()]
		if !known {
			t.Errorf("order %s is %s, and nobody has been told of it: a request that was repeated has made two orders", o.GetId(), o.GetState())
			continue
		}
		if reason, right := p.end(c.shelf)[o.GetState()]; !right || reason != o.GetReason() {
			t.Errorf("order %s (paid with %s, cancelled: %t) ended %s %s", o.GetId(), p.method, p.cancelled, o.GetState(), o.GetReason())
		}
		if paid[o.GetState()] {
			for sku, quantity := range p.lines {
				f := fates[sku]
				fates[sku] = fate{f.bought + quantity, f.shipped + p.shipped[sku], f.back + p.back[sku], f.dropped + p.dropped[sku]}
			}
		}
		if o.GetCouponUsed() != (p.coupon && paid[o.GetState()]) {
			t.Errorf("order %s (with a coupon: %t) is %s and has a coupon: %t", o.GetId(), p.coupon, o.GetState(), o.GetCouponUsed())
		}
		if o.GetCouponUsed() {
			coupons++
		}
		quiet := r.lastKill // When nothing was killed any more, and its customer had been told all: what others do is no excuse.
		if p.told.After(quiet) {
			quiet = p.told
		}
		s.count(o, quiet)
	}
	if coupons > r.maxCoupons() {
		t.Errorf("the coupon was used %d times, which was possible %d times", coupons, r.maxCoupons())
	}
	if len(orders) != len(c.book) {
		t.Errorf("%d orders were acknowledged, and there are %d", len(c.book), len(orders))
	}
	if s.late > terminalWithin {
		t.Errorf("an order ended %v after the last kill and its last answer, want %v at the most", s.late, terminalWithin)
	}
	s.tell(t, r, c)
	return fates
}

// paid are the states of orders that are paid for.
var paid = map[ordersv1.OrderState]bool{
	ordersv1.OrderState_ORDER_STATE_CONFIRMED: true, ordersv1.OrderState_ORDER_STATE_PARTIALLY_FULFILLED: true,
	ordersv1.OrderState_ORDER_STATE_FULFILLED: true, ordersv1.OrderState_ORDER_STATE_RETURNED: true,
}

// fate is what became of the pieces of a SKU: how many were bought, and of these shipped, come back, and not sent.
type fate struct{ bought, shipped, back, dropped int64 }

// auditStock holds that inventory has given away what customers have bought, to the piece, and all of what everybody wanted.
func (c *crowd) auditStock(t *testing.T, fates map[string]fate, stock []*inventoryv1.StockFact, reservations []*inventoryv1.ReservationFact) {
	t.Helper()
	sold := map[string]int64{}
	for _, r := range reservations {
		switch r.GetState() {
		case inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED, inventoryv1.ReservationState_RESERVATION_STATE_SHIPPED, inventoryv1.ReservationState_RESERVATION_STATE_RETURNED:
			for _, l := range r.GetLines() {
				sold[l.GetSku()] += l.GetQuantity()
			}
		}
	}
	there := map[string]*inventoryv1.StockFact{}
	for _, f := range stock {
		there[f.GetSku()] = f
	}
	for _, sku := range c.shelf.skus() {
		f, p := there[sku], fates[sku]
		if f.GetOnHand() != c.shelf.pieces(sku)-p.shipped+p.back || f.GetReserved() != p.bought-p.shipped-p.dropped || sold[sku] != p.bought {
			t.Errorf("of %d pieces of %s customers have bought %+v; inventory has sold %d, and of %d on hand %d are set aside",
				c.shelf.pieces(sku), sku, p, sold[sku], f.GetOnHand(), f.GetReserved())
		}
	}
	if bought := fates[c.shelf.hot].bought; bought != c.shelf.hotPieces {
		t.Errorf("of %d pieces of what everybody wanted %d are sold", c.shelf.hotPieces, bought)
	}
}

// summary is what a run tells.
type summary struct {
	states  map[string]int
	slowest time.Duration // From the placement of an order to its end, unless somebody has changed it since.
	late    time.Duration // At the most, from the last kill and the last answer to an order's customer to its end; nothing if that was before.
}

// count counts an order, which was disturbed last at the time of quiet.
func (s *summary) count(o *ordersv1.OrderFact, quiet time.Time) {
	words := strings.ToLower(strings.TrimPrefix(o.GetState().String(), "ORDER_STATE_"))
	if o.GetReason() != "" {
		words += " " + o.GetReason()
	}
	s.states[words]++
	end := o.GetUpdateTime().AsTime()
	s.late = max(s.late, end.Sub(quiet))
	switch o.GetState() {
	case ordersv1.OrderState_ORDER_STATE_CONFIRMED, ordersv1.OrderState_ORDER_STATE_REJECTED:
		s.slowest = max(s.slowest, end.Sub(o.GetCreateTime().AsTime()))
	}
}

// tell logs the summary.
func (s *summary) tell(t *testing.T, r *run, c *crowd) {
	t.Helper()
	took := r.ended.Sub(r.began)
	t.Logf("%d checkouts in %v, %.1f a second; %d calls, %d of them repetitions", r.checkouts, took.Round(time.Millisecond),
		float64(r.checkouts)/took.Seconds(), c.tried.Load(), c.tried.Load()-c.answered.Load())
	t.Logf("ends: %s", counted(s.states))
	t.Logf("kills: %s", counted(r.killed))
	t.Logf("the slowest order took %v; at the latest one ended %v after the last kill and its last answer",
		s.slowest.Round(time.Millisecond), s.late.Round(time.Millisecond))
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
