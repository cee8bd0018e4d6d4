package test

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

var repeatScenarios = []scenario{
	{"every change is repeated", grpc, repeated},
	{"a repetition gets its answer whatever has happened since", connectJSON, repeatedLater},
	{"a request id is used for something else", grpcWeb, reused},
	{"twenty place the same order at once", connectRPC, atOnce},
}

// change is a mutating method of the public port, ready to be called with a request id.
type change struct {
	name string
	call func(ctx context.Context, requestID string) (proto.Message, error)
	// other is the same method with another request; nil where a request holds nothing but its id.
	other func(ctx context.Context, requestID string) (proto.Message, error)
}

// changes returns one call of every mutating public method. Each can be made once.
func (v *visit) changes() []change {
	sku := v.product(1990, 100)
	cartID, otherCartID := v.cart(item{sku, 1}), v.cart(item{sku, 1})
	quoteID := v.quote(v.cart(item{sku, 2})).GetId()
	toCancel := v.settled(v.buy("pm_card_visa", item{sku, 1}).GetId(), confirmed, "")
	setItem := func(quantity int64) func(ctx context.Context, requestID string) (proto.Message, error) {
		return func(ctx context.Context, requestID string) (proto.Message, error) {
			return v.carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{RequestId: requestID, CartId: cartID, Sku: sku, Quantity: quantity})
		}
	}
	quote := func(cartID string) func(ctx context.Context, requestID string) (proto.Message, error) {
		return func(ctx context.Context, requestID string) (proto.Message, error) {
			return v.carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: requestID, CartId: cartID})
		}
	}
	place := func(method string) func(ctx context.Context, requestID string) (proto.Message, error) {
		return func(ctx context.Context, requestID string) (proto.Message, error) {
			return v.orders.PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{RequestId: requestID, QuoteId: quoteID, PaymentMethod: method})
		}
	}
	cancel := func(orderID string) func(ctx context.Context, requestID string) (proto.Message, error) {
		return func(ctx context.Context, requestID string) (proto.Message, error) {
			return v.orders.CancelOrder(ctx, &ordersv1.CancelOrderRequest{RequestId: requestID, Id: orderID})
		}
	}
	return []change{
		{"CreateCart", func(ctx context.Context, requestID string) (proto.Message, error) {
			return v.carts.CreateCart(ctx, &ordersv1.CreateCartRequest{RequestId: requestID})
		}, nil},
		{"SetCartItem", setItem(7), setItem(8)},
		{"CreateQuote", quote(cartID), quote(otherCartID)},
		{"PlaceOrder", place("pm_card_visa"), place("pm_card_declined")},
		{"CancelOrder", cancel(toCancel.GetId()), cancel("ord_other")},
	}
}

func repeated(v *visit) {
	for _, c := range v.changes() {
		requestID := request()
		first, err := c.call(v.ctx, requestID)
		v.must(c.name, err)
		for range 2 {
			again, err := c.call(v.ctx, requestID)
			v.must(c.name+" again", err)
			v.same(c.name+" again", again, first)
		}
		// Twenty more at once are no different.
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				again, err := c.call(v.ctx, requestID)
				if err != nil || !proto.Equal(again, first) {
					v.Errorf("%s at once: got %v, %v, want %v", c.name, again, err, first)
				}
			})
		}
		callers.Wait()
	}
}

func repeatedLater(v *visit) {
	sku := v.product(1990, 10)
	cartID := v.cart(item{sku, 1})
	quoteRequest := &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: cartID}
	quote, err := v.carts.CreateQuote(v.ctx, quoteRequest)
	v.must("ask for a quote", err)
	orderRequest := &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetQuote().GetId(), PaymentMethod: "pm_card_visa"}
	placed, err := v.orders.PlaceOrder(v.ctx, orderRequest)
	v.must("place an order", err)
	v.settled(placed.GetOrder().GetId(), confirmed, "")
	v.offer(sku, euros(99999), archived)

	again, err := v.carts.CreateQuote(v.ctx, quoteRequest)
	v.must("ask for the quote again, when the product is gone", err)
	v.same("the quote", again, quote)
	placedAgain, err := v.orders.PlaceOrder(v.ctx, orderRequest)
	v.must("place the order again, when the product is gone", err)
	v.same("the order", placedAgain, placed) // As it was then: pending.
	equal(v, "left", v.available(sku), 9)
}

func reused(v *visit) {
	for _, c := range v.changes() {
		requestID := request()
		first, err := c.call(v.ctx, requestID)
		v.must(c.name, err)
		if c.other == nil {
			continue
		}
		_, err = c.other(v.ctx, requestID)
		if err == nil {
			v.Fatalf("%s: the id was taken for another request", c.name)
		}
		equal(v, c.name+" for another request", code(err), "already_exists REQUEST_ID_REUSED")
		again, err := c.call(v.ctx, requestID)
		v.must(c.name+" after that", err)
		v.same(c.name+" after that", again, first)
	}
	// Ids belong to a method: another one may use the same.
	requestID := request()
	_, err := v.carts.CreateCart(v.ctx, &ordersv1.CreateCartRequest{RequestId: requestID})
	v.must("create a cart", err)
	_, err = v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{
		RequestId: requestID, QuoteId: v.quote(v.cart(item{v.product(1, 1), 1})).GetId(), PaymentMethod: "pm_card_visa",
	})
	v.must("place an order with the id of a cart", err)
}

func atOnce(v *visit) {
	sku := v.product(1990, 100)
	quote := v.quote(v.cart(item{sku, 1}))
	r := &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"}
	answers := make([]*ordersv1.PlaceOrderResponse, 20)
	var callers sync.WaitGroup
	for i := range answers {
		callers.Go(func() {
			var err error
			if answers[i], err = v.orders.PlaceOrder(v.ctx, proto.CloneOf(r)); err != nil {
				v.Errorf("place an order: %v", err)
			}
		})
	}
	callers.Wait()
	for _, answer := range answers {
		v.same("an answer", answer, answers[0])
	}
	order := v.settled(answers[0].GetOrder().GetId(), confirmed, "")
	v.paid(order, captured, 1990, 0)
	equal(v, "left", v.available(sku), 99)
}
