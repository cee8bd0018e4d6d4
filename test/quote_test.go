package test

import (
	"github.com/jackc/pgx/v5"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/id"
)

var quoteScenarios = []scenario{
	{"a price changes between quote and order", grpc, priceChanged},
	{"a product is archived while it sits in a cart", connectRPC, archivedInCart},
	{"a quote is used twice", connectJSON, usedQuote},
	{"a quote expires", grpcWeb, expiredQuote},
	{"carts that cannot be quoted", connectJSON, unquotable},
	{"a cart is changed", connectRPC, changedCart},
}

func priceChanged(v *visit) {
	sku := v.product(1990, 10)
	cartID := v.cart(item{sku, 1})
	quote := v.quote(cartID)
	v.price(sku, 1990) // The same price: nothing has changed.
	v.price(sku, 2490)
	_, err := v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"})
	v.refused("order at the old price", err, "failed_precondition PRICE_CHANGED")
	// A price that is back is another price all the same: the customer has not seen what was in between.
	v.price(sku, 1990)
	_, err = v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"})
	v.refused("order when the price is back", err, "failed_precondition PRICE_CHANGED")
	v.price(sku, 2490)
	again := v.quote(cartID)
	equal(v, "price in the new quote", again.GetLines()[0].GetUnitPrice().GetAmount(), 2490)
	order := v.settled(v.place(again.GetId(), "pm_card_visa").GetId(), confirmed, "")
	v.paid(order, captured, 2490, 0)
	equal(v, "left", v.available(sku), 9)
}

func archivedInCart(v *visit) {
	sku := v.product(1990, 10)
	cartID := v.cart(item{sku, 1})
	quote := v.quote(cartID)
	v.offer(sku, euros(1990), archived)
	_, err := v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"})
	v.refused("order what is archived", err, "failed_precondition PRICE_CHANGED")
	_, err = v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: cartID})
	v.refused("ask for a quote", err, "failed_precondition ITEM_UNAVAILABLE")
	_, err = v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: cartID, Sku: sku, Quantity: 2})
	v.refused("take more of it", err, "not_found")
	// Taking it out needs no product.
	answer, err := v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: cartID, Sku: sku})
	v.must("take it out", err)
	equal(v, "items", len(answer.GetCart().GetItems()), 0)
	sku = id.New("sku")
	v.offer(sku, euros(1990), draft)
	_, err = v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: cartID, Sku: sku, Quantity: 1})
	v.refused("take what is not on sale yet", err, "not_found")
}

func usedQuote(v *visit) {
	sku := v.product(1990, 10)
	cartID := v.cart(item{sku, 1})
	first, second := v.quote(cartID), v.quote(cartID)
	v.settled(v.place(first.GetId(), "pm_card_visa").GetId(), confirmed, "")
	for what, quote := range map[string]*ordersv1.Quote{"order the quote again": first, "order the other quote of the cart": second} {
		_, err := v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"})
		if got := code(err); got != "failed_precondition QUOTE_USED" {
			v.Errorf("%s: got %s, want QUOTE_USED", what, got)
		}
	}
	equal(v, "left", v.available(sku), 9)
}

func expiredQuote(v *visit) {
	sku := v.product(1990, 10)
	cartID := v.cart(item{sku, 1})
	quote := v.quote(cartID)
	// Nobody waits for a quarter of an hour: its time is up because the shop's people say so.
	db, err := pgx.Connect(v.ctx, v.Databases["orders"])
	v.must("connect to the database of orders", err)
	defer db.Close(v.ctx)
	tag, err := db.Exec(v.ctx, "UPDATE orders.quote SET expire_time = now() - interval '1 second' WHERE id = $1", quote.GetId())
	v.must("let the quote expire", err)
	equal(v, "expired quotes", tag.RowsAffected(), 1)
	_, err = v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"})
	v.refused("order an expired quote", err, "failed_precondition QUOTE_EXPIRED")
	v.settled(v.place(v.quote(cartID).GetId(), "pm_card_visa").GetId(), confirmed, "")
}

func unquotable(v *visit) {
	_, err := v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: v.cart()})
	v.refused("quote an empty cart", err, "failed_precondition CART_EMPTY")

	inEuros := v.product(1990, 10)
	inPounds := id.New("sku")
	v.offer(inPounds, &typev1.Money{Amount: 1990, Currency: "GBP"}, published)
	_, err = v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: v.cart(item{inEuros, 1}, item{inPounds, 1})})
	v.refused("quote two currencies", err, "failed_precondition MIXED_CURRENCIES")

	dear := v.product(9_000_000_000_000_000_000, 10)
	_, err = v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: v.cart(item{dear, 2})})
	v.refused("quote more than can be counted", err, "failed_precondition TOTAL_TOO_LARGE")
}

// changedCart holds that what a change answers is what can be read afterwards.
func changedCart(v *visit) {
	one, other := v.product(100, 1), v.product(200, 1)
	created, err := v.carts.CreateCart(v.ctx, &ordersv1.CreateCartRequest{RequestId: request()})
	v.must("create a cart", err)
	read := func() *ordersv1.Cart {
		answer, err := v.carts.GetCart(v.ctx, &ordersv1.GetCartRequest{Id: created.GetCart().GetId()})
		v.must("get the cart", err)
		return answer.GetCart()
	}
	v.same("the new cart", read(), created.GetCart())
	for _, change := range []item{{one, 2}, {other, 1}, {one, 5}, {other, 0}, {other, 0}} {
		changed, err := v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{
			RequestId: request(), CartId: created.GetCart().GetId(), Sku: change.sku, Quantity: change.quantity,
		})
		v.must("change the cart", err)
		v.same("the changed cart", read(), changed.GetCart())
	}
	equal(v, "items", len(read().GetItems()), 1)
	equal(v, "pieces", read().GetItems()[0].GetQuantity(), 5)
}
