package test

import (
	"sync"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
)

const (
	confirmed = ordersv1.OrderState_ORDER_STATE_CONFIRMED
	rejected  = ordersv1.OrderState_ORDER_STATE_REJECTED
	cancelled = ordersv1.OrderState_ORDER_STATE_CANCELLED

	captured = paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED
	refunded = paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED
	voided   = paymentsv1.PaymentState_PAYMENT_STATE_VOIDED
	declined = paymentsv1.PaymentState_PAYMENT_STATE_DECLINED

	committed = inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED
	released  = inventoryv1.ReservationState_RESERVATION_STATE_RELEASED
)

var orderScenarios = []scenario{
	{"an order goes well", connectJSON, confirmedOrder},
	{"an order that costs nothing", connectRPC, freeOrder},
	{"a card is declined", grpc, declinedCard},
	{"something is out of stock", grpcWeb, outOfStock},
	{"one of two lines is out of stock", connectRPC, oneLineOutOfStock},
	{"two buy the last piece", grpc, lastPiece},
	{"the provider charges and its answer is lost", connectRPC, chargedThenSilent},
	{"the provider does not get the first request", grpcWeb, silentThenCharged},
}

func confirmedOrder(v *visit) {
	cheap, dear := v.product(1990, 10), v.product(12550, 4)
	cartID := v.cart(item{cheap, 3}, item{dear, 1})
	quote := v.quote(cartID)
	equal(v, "total of the quote", quote.GetTotal().GetAmount(), 3*1990+12550)
	placed := v.place(quote.GetId(), "pm_card_visa")
	equal(v, "state at first", placed.GetState(), ordersv1.OrderState_ORDER_STATE_PENDING)
	equal(v, "path", path(v.watch(placed.GetId(), 0)), "pending reserved paying confirmed")

	order := v.settled(placed.GetId(), confirmed, "")
	equal(v, "transitions", order.GetSequence(), 4)
	equal(v, "total", order.GetTotal().GetAmount(), 3*1990+12550)
	equal(v, "lines", len(order.GetLines()), 2)
	for i, line := range order.GetLines() {
		v.same("a line of the order", line, quote.GetLines()[i])
	}
	v.paid(order, captured, 3*1990+12550, 0)
	reservation := v.reservation(order)
	equal(v, "reservation", reservation.GetState(), committed)
	equal(v, "reservation of the order", reservation.GetReference() == order.GetId(), true)
	equal(v, "cheap ones left", v.available(cheap), 7)
	equal(v, "dear ones left", v.available(dear), 3)

	cart, err := v.carts.GetCart(v.ctx, &ordersv1.GetCartRequest{Id: cartID})
	v.must("get the cart", err)
	equal(v, "cart", cart.GetCart().GetState(), ordersv1.CartState_CART_STATE_CONVERTED)
	_, err = v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: cartID, Sku: cheap, Quantity: 1})
	v.refused("change the cart of an order", err, "failed_precondition CART_STATE")
	_, err = v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: cartID})
	v.refused("ask for a quote of an order's cart", err, "failed_precondition CART_STATE")
}

func freeOrder(v *visit) {
	sku := v.product(0, 1)
	order := v.settled(v.buy("pm_card_declined", item{sku, 1}).GetId(), confirmed, "")
	equal(v, "payment", order.GetPaymentId(), "")
	equal(v, "left", v.available(sku), 0)
}

func declinedCard(v *visit) {
	for method, code := range map[string]string{
		"pm_card_declined": "card_declined", "pm_card_insufficient_funds": "insufficient_funds", "pm_card_expired": "expired_card", "pm_whatever": "invalid_payment_method",
	} {
		sku := v.product(1990, 10)
		order := v.settled(v.buy(method, item{sku, 3}).GetId(), rejected, "CARD_DECLINED")
		v.paid(order, declined, 0, 0)
		if got := v.payment(order).GetDeclineCode(); got != code {
			v.Errorf("%s is declined with %s, want %s", method, got, code)
		}
		equal(v, "reservation", v.reservation(order).GetState(), released)
		equal(v, "left", v.available(sku), 10)
	}
}

func outOfStock(v *visit) {
	sku := v.product(1990, 2)
	order := v.settled(v.buy("pm_card_visa", item{sku, 3}).GetId(), rejected, "OUT_OF_STOCK")
	equal(v, "payment", order.GetPaymentId(), "")
	equal(v, "left", v.available(sku), 2)
	unknown := v.settled(v.buy("pm_card_visa", item{v.product(1990, 0), 1}).GetId(), rejected, "OUT_OF_STOCK")
	equal(v, "payment", unknown.GetPaymentId(), "")
}

func oneLineOutOfStock(v *visit) {
	there, gone := v.product(1000, 5), v.product(1000, 0)
	v.settled(v.buy("pm_card_visa", item{there, 5}, item{gone, 1}).GetId(), rejected, "OUT_OF_STOCK")
	equal(v, "left of what is there", v.available(there), 5)
}

func lastPiece(v *visit) {
	sku := v.product(1990, 1)
	quotes := []*ordersv1.Quote{v.quote(v.cart(item{sku, 1})), v.quote(v.cart(item{sku, 1}))}
	orders := make([]*ordersv1.Order, len(quotes))
	var buyers sync.WaitGroup
	for i, quote := range quotes {
		buyers.Go(func() {
			answer, err := v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"})
			if err != nil {
				v.Errorf("place an order: %v", err)
			}
			orders[i] = answer.GetOrder()
		})
	}
	buyers.Wait()
	sold := 0
	for _, placed := range orders {
		v.watch(placed.GetId(), 0)
		switch order := v.order(placed.GetId()); order.GetState() {
		case confirmed:
			sold++
			v.paid(order, captured, 1990, 0)
		case rejected:
			if order.GetReason() != "OUT_OF_STOCK" {
				v.Errorf("the loser was rejected for %s", order.GetReason())
			}
		default:
			v.Errorf("order %s ended %s", order.GetId(), order.GetState())
		}
	}
	equal(v, "sold", sold, 1)
	equal(v, "left", v.available(sku), 0)
}

func chargedThenSilent(v *visit) {
	sku := v.product(1990, 10)
	order := v.settled(v.buy("pm_charge_then_timeout", item{sku, 2}).GetId(), confirmed, "")
	equal(v, "path", path(v.watch(order.GetId(), 0)), "pending reserved payment_unknown paying confirmed")
	v.paid(order, captured, 3980, 0)
	equal(v, "left", v.available(sku), 8)
}

func silentThenCharged(v *visit) {
	sku := v.product(1990, 10)
	order := v.settled(v.buy("pm_timeout_before_charge", item{sku, 2}).GetId(), confirmed, "")
	equal(v, "path", path(v.watch(order.GetId(), 0)), "pending reserved payment_unknown paying confirmed")
	v.paid(order, captured, 3980, 0)
	equal(v, "left", v.available(sku), 8)
}

// euros is an amount in cents.
func euros(cents int64) *typev1.Money { return &typev1.Money{Amount: cents, Currency: "EUR"} }

const (
	published = catalogv1.ProductState_PRODUCT_STATE_PUBLISHED
	archived  = catalogv1.ProductState_PRODUCT_STATE_ARCHIVED
	draft     = catalogv1.ProductState_PRODUCT_STATE_DRAFT
)
