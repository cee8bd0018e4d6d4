package test

import (
	"sync"
	"testing"
	"time"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

// faults kills one part of a house after the other. What needs a dead part is unavailable and nothing else, what does not goes on, and
// every order that was accepted is seen through when the part is back.
func faults(t *testing.T, s *shop) {
	var orderID string
	for _, step := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"orders is killed", func(t *testing.T) { orderID = ordersKilled(t, s) }},
		{"catalog is killed", func(t *testing.T) { catalogKilled(t, s) }}, // The order needs it no more.
		{"the order of the killed process is seen through", func(t *testing.T) {
			v := enter(t, s, connectRPC)
			v.paid(v.settled(orderID, confirmed, ""), captured, 1990, 0)
		}},
		{"payments is killed", func(t *testing.T) { paymentsKilled(t, s) }},
		{"inventory is killed", func(t *testing.T) { inventoryKilled(t, s) }},
		{"the edge is stopped while orders are watched", func(t *testing.T) { edgeStopped(t, s) }},
	} {
		if !t.Run(step.name, step.run) {
			return // What it killed may still be gone.
		}
	}
}

// ordersKilled kills orders when it has just accepted one, while others are watched, and starts it again. It returns the order.
func ordersKilled(t *testing.T, s *shop) string {
	v := enter(t, s, connectRPC)
	sku := v.product(1990, 10)
	quote := v.quote(v.cart(item{sku, 1}))
	ends := watchers(v, v.buy("pm_provider_down", item{sku, 1}).GetId())
	orderID := v.place(quote.GetId(), "pm_card_visa").GetId()
	s.Unit("orders").Kill()
	for protocol, err := range ends() {
		v.refused("watch over "+protocol, err, "unavailable")
	}
	_, err := v.orders.GetOrder(v.ctx, &ordersv1.GetOrderRequest{Id: orderID})
	v.refused("get an order", err, "unavailable")
	_, err = v.carts.CreateCart(v.ctx, &ordersv1.CreateCartRequest{RequestId: request()})
	v.refused("create a cart", err, "unavailable")
	_, err = v.catalog.ListProducts(v.ctx, &catalogv1.ListProductsRequest{PageSize: 1})
	v.must("list products without orders", err)
	equal(v, "in stock", v.available(sku) > 0, true)
	s.Unit("orders").Restart(t)
	return orderID
}

// watchers watch an open order over each protocol. It returns when all have seen something; what it returns waits for the ends.
func watchers(v *visit, orderID string) func() map[string]error {
	var seeing, watching sync.WaitGroup
	var mu sync.Mutex
	ends := map[string]error{}
	for _, p := range protocols {
		seeing.Add(1)
		seen := sync.OnceFunc(seeing.Done)
		watching.Go(func() {
			watcher := enter(v.T, v.shop, p)
			err := watcher.follow(orderID, 0, func(*ordersv1.WatchOrderResponse) bool {
				seen()
				return true
			})
			seen()
			mu.Lock()
			defer mu.Unlock()
			ends[p.name] = err
		})
	}
	seeing.Wait()
	return func() map[string]error {
		watching.Wait()
		return ends
	}
}

func catalogKilled(t *testing.T, s *shop) {
	v := enter(t, s, grpc)
	sku := v.product(1990, 10)
	cartID, otherCartID := v.cart(item{sku, 1}), v.cart(item{sku, 1})
	quote := v.quote(cartID)
	order := v.settled(v.buy("pm_card_visa", item{sku, 1}).GetId(), confirmed, "")
	s.Unit("catalog").Kill()

	_, err := v.catalog.ListProducts(v.ctx, &catalogv1.ListProductsRequest{})
	v.refused("list products", err, "unavailable")
	_, err = v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: cartID, Sku: sku, Quantity: 2})
	v.must("fill a cart without the catalog", err)
	_, err = v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: otherCartID})
	v.refused("ask for a quote", err, "unavailable")
	r := &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"}
	_, err = v.orders.PlaceOrder(v.ctx, r)
	v.refused("place an order", err, "unavailable")

	equal(v, "an order", v.order(order.GetId()).GetState(), confirmed)
	equal(v, "a watched order", path(v.watch(order.GetId(), 3)), "confirmed")
	v.cancel(order.GetId())
	v.settled(order.GetId(), cancelled, "CANCELLED_BY_CUSTOMER")
	equal(v, "in stock", v.available(sku), 10)
	if problem := s.Unit("orders").NotReady(v.ctx); problem != "" {
		t.Errorf("without a peer orders is not ready: %s", problem)
	}

	s.Unit("catalog").Restart(t)
	_, err = v.catalog.ListProducts(v.ctx, &catalogv1.ListProductsRequest{})
	v.must("list products", err)
	// The customer repeats what failed, with the same request id.
	placed, err := v.orders.PlaceOrder(v.ctx, r)
	v.must("place the order", err)
	v.settled(placed.GetOrder().GetId(), confirmed, "")
}

func paymentsKilled(t *testing.T, s *shop) {
	v := enter(t, s, grpcWeb)
	sku := v.product(1990, 10)
	s.Unit("payments").Kill()
	placed := v.buy("pm_card_visa", item{sku, 1})
	equal(v, "state at first", placed.GetState(), ordersv1.OrderState_ORDER_STATE_PENDING)
	s.Unit("orders").Process().Expect(t, `"msg":"step failed","module":"orders","saga":"`+placed.GetId()+`","kind":"checkout","step":"authorize"`)
	equal(v, "state without payments", v.order(placed.GetId()).GetState(), ordersv1.OrderState_ORDER_STATE_RESERVED)
	equal(v, "in stock", v.available(sku), 9)
	s.Unit("payments").Restart(t)
	v = enter(t, s, grpcWeb)
	v.paid(v.settled(placed.GetId(), confirmed, ""), captured, 1990, 0)
}

func inventoryKilled(t *testing.T, s *shop) {
	v := enter(t, s, connectJSON)
	sku := v.product(1990, 10)
	s.Unit("inventory").Kill()
	_, err := v.inventory.BatchGetAvailability(v.ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: []string{sku}})
	v.refused("ask for stock", err, "unavailable")
	placed := v.buy("pm_card_visa", item{sku, 1})
	equal(v, "state without inventory", v.order(placed.GetId()).GetState(), ordersv1.OrderState_ORDER_STATE_PENDING)
	s.Unit("inventory").Restart(t)
	v.paid(v.settled(placed.GetId(), confirmed, ""), captured, 1990, 0)
	equal(v, "left", v.available(sku), 9)
}

// edgeStopped holds that a stop does not wait for those who watch, and tells them so.
func edgeStopped(t *testing.T, s *shop) {
	v := enter(t, s, connectRPC)
	orderID := v.buy("pm_provider_down", item{v.product(1990, 10), 1}).GetId()
	ends := watchers(v, orderID)
	began := time.Now()
	s.Unit("edge").Restart(t)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the edge took %v to restart", took)
	}
	for protocol, err := range ends() {
		v.refused("watch over "+protocol, err, "unavailable")
	}
	ends = watchers(v, orderID)
	s.Unit("orders").Restart(t)
	for protocol, err := range ends() {
		v.refused("watch over "+protocol, err, "unavailable")
	}
}
