package test

import (
	"strings"
	"time"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
)

var fulfilScenarios = []scenario{
	{"an order with a coupon is shipped in parts, a part comes back, and the rest is not sent", grpc, shipInParts},
	{"a coupon is used once, and again when its order is cancelled", connectJSON, useCouponAgain},
}

// coupon makes a coupon with a code that no other scenario has, and returns that.
func (v *visit) coupon(code string, r *ordersv1.CreateCouponRequest) string {
	v.Helper()
	r.RequestId, r.Code = request(), code
	answer, err := v.coupons.CreateCoupon(v.ctx, r)
	v.must("make a coupon", err)
	return answer.GetCoupon().GetCode()
}

func (v *visit) buyWith(code string, items ...item) (*ordersv1.Order, error) {
	v.Helper()
	answer, err := v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: v.cart(items...), CouponCode: code})
	if err != nil {
		return nil, err
	}
	return v.place(answer.GetQuote().GetId(), "pm_card_visa"), nil
}

// reversed waits until stock and money have followed the reversals of an order, and returns them.
func (v *visit) reversed(orderID string) []*ordersv1.Reversal {
	v.Helper()
	for {
		answer, err := v.parcels.ListReversals(v.ctx, &ordersv1.ListReversalsRequest{OrderId: orderID})
		v.must("list reversals", err)
		open := 0
		for _, r := range answer.GetReversals() {
			if r.GetState() != ordersv1.ReversalState_REVERSAL_STATE_SETTLED {
				open++
			}
		}
		if open == 0 {
			return answer.GetReversals()
		}
		time.Sleep(20 * time.Millisecond) // There is nothing to watch.
	}
}

func shipInParts(v *visit) {
	v.listens()
	sku := v.product(1000, 10)
	placed, err := v.buyWith(v.coupon("PARTS", &ordersv1.CreateCouponRequest{Percent: 10}), item{sku, 3})
	v.must("order with a coupon", err)
	order := v.settled(placed.GetId(), confirmed, "")
	equal(v, "total", order.GetTotal().GetAmount(), 2700)
	lines := []*ordersv1.LineQuantity{{Sku: sku, Quantity: 2}}
	ship := &ordersv1.CreateFulfillmentRequest{RequestId: request(), OrderId: order.GetId(), Lines: lines, TrackingCode: "JD0146"}
	shipped, err := v.parcels.CreateFulfillment(v.ctx, ship)
	v.must("ship", err)
	equal(v, "state", shipped.GetOrder().GetState(), ordersv1.OrderState_ORDER_STATE_PARTIALLY_FULFILLED)
	again, err := v.parcels.CreateFulfillment(v.ctx, ship)
	v.must("ship again", err)
	v.same("the second answer", again, shipped)
	_, err = v.orders.CancelOrder(v.ctx, &ordersv1.CancelOrderRequest{RequestId: request(), Id: order.GetId()})
	v.refused("cancel what is shipped", err, "failed_precondition ORDER_STATE")
	_, err = v.parcels.CreateFulfillment(v.ctx, &ordersv1.CreateFulfillmentRequest{RequestId: request(), OrderId: order.GetId(), Lines: lines})
	v.refused("ship more than is left", err, "failed_precondition TOO_MANY")
	back, err := v.parcels.ReturnLines(v.ctx, &ordersv1.ReturnLinesRequest{
		RequestId: request(), OrderId: order.GetId(), Lines: []*ordersv1.LineQuantity{{Sku: sku, Quantity: 1}},
	})
	v.must("return", err)
	equal(v, "refund", back.GetReversal().GetRefund().GetAmount(), 900)
	rest, err := v.parcels.CancelRest(v.ctx, &ordersv1.CancelRestRequest{RequestId: request(), OrderId: order.GetId()})
	v.must("cancel the rest", err)
	equal(v, "state then", rest.GetOrder().GetState(), ordersv1.OrderState_ORDER_STATE_FULFILLED)
	equal(v, "reversals", len(v.reversed(order.GetId())), 2)
	order = v.order(order.GetId())
	v.paid(order, paymentsv1.PaymentState_PAYMENT_STATE_PARTIALLY_REFUNDED, 2700, 1800)
	equal(v, "reservation", v.reservation(order).GetState(), inventoryv1.ReservationState_RESERVATION_STATE_SHIPPED)
	equal(v, "left", v.available(sku), 9)
	parcels, err := v.parcels.ListFulfillments(v.ctx, &ordersv1.ListFulfillmentsRequest{OrderId: order.GetId()})
	v.must("list parcels", err)
	equal(v, "parcels", len(parcels.GetFulfillments()), 1)
	v.until("the customer hears of both refunds", func() bool { return strings.Count(strings.Join(v.sent(order.GetId()), ""), "order_refunded: ") == 2 })
}

func useCouponAgain(v *visit) {
	sku := v.product(1000, 10)
	code := v.coupon("AGAIN", &ordersv1.CreateCouponRequest{Percent: 10, MaxUses: 1})
	placed, err := v.buyWith(code, item{sku, 1})
	v.must("order with a coupon", err)
	order := v.settled(placed.GetId(), confirmed, "")
	_, err = v.buyWith(code, item{sku, 1})
	v.refused("use it again", err, "failed_precondition COUPON_USED_UP")
	v.cancel(order.GetId())
	v.settled(order.GetId(), cancelled, "CANCELLED_BY_CUSTOMER")
	placed, err = v.buyWith(code, item{sku, 1})
	v.must("use it when it is free again", err)
	v.settled(placed.GetId(), confirmed, "")
}
