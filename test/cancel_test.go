package test

import (
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

var cancelScenarios = []scenario{
	{"a confirmed order is cancelled and refunded", connectRPC, cancelConfirmed},
	{"an order is cancelled while it is being paid", grpc, cancelInCheckout},
	{"an order whose payment is unknown is cancelled", connectJSON, cancelUnknown},
	{"an order that ended cannot be cancelled", grpcWeb, cancelRejected},
}

func cancelConfirmed(v *visit) {
	sku := v.product(1990, 10)
	order := v.settled(v.buy("pm_card_visa", item{sku, 3}).GetId(), confirmed, "")
	equal(v, "left", v.available(sku), 7)
	answer := v.cancel(order.GetId())
	equal(v, "state at first", answer.GetState(), ordersv1.OrderState_ORDER_STATE_CANCEL_PENDING)
	equal(v, "path", path(v.watch(order.GetId(), order.GetSequence())), "cancel_pending cancelled")
	order = v.settled(order.GetId(), cancelled, "CANCELLED_BY_CUSTOMER")
	v.paid(order, refunded, 5970, 5970)
	equal(v, "reservation", v.reservation(order).GetState(), released)
	equal(v, "left", v.available(sku), 10)
	// A second wish finds nothing to do.
	equal(v, "state then", v.cancel(order.GetId()).GetState(), cancelled)
	equal(v, "transitions then", v.order(order.GetId()).GetSequence(), order.GetSequence())
}

func cancelInCheckout(v *visit) {
	sku := v.product(1990, 10)
	placed := v.buy("pm_slow", item{sku, 3})
	v.must("watch an order", v.follow(placed.GetId(), 0, func(w *ordersv1.WatchOrderResponse) bool {
		return w.GetTransition().GetState() != ordersv1.OrderState_ORDER_STATE_RESERVED
	}))
	v.cancel(placed.GetId()) // The provider takes a second to authorize.
	order := v.settled(placed.GetId(), cancelled, "CANCELLED_BY_CUSTOMER")
	equal(v, "path", path(v.watch(placed.GetId(), 0)), "pending reserved cancel_pending cancelled")
	v.paid(order, voided, 0, 0)
	equal(v, "left", v.available(sku), 10)
}

func cancelUnknown(v *visit) {
	sku := v.product(1990, 10)
	placed := v.buy("pm_provider_down", item{sku, 3})
	v.must("watch an order", v.follow(placed.GetId(), 0, func(w *ordersv1.WatchOrderResponse) bool {
		return w.GetTransition().GetState() != ordersv1.OrderState_ORDER_STATE_PAYMENT_UNKNOWN
	}))
	equal(v, "state", v.cancel(placed.GetId()).GetState(), ordersv1.OrderState_ORDER_STATE_CANCEL_PENDING)
	// Nobody knows what the provider did, so the stock is not given back yet.
	equal(v, "left", v.available(sku), 7)
}

func cancelRejected(v *visit) {
	placed := v.buy("pm_card_visa", item{v.product(1990, 0), 1})
	order := v.settled(placed.GetId(), rejected, "OUT_OF_STOCK")
	_, err := v.orders.CancelOrder(v.ctx, &ordersv1.CancelOrderRequest{RequestId: request(), Id: order.GetId()})
	v.refused("cancel a rejected order", err, "failed_precondition ORDER_STATE")
}
