package kill

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/test/house"
)

// course is what becomes of an order, and what has to be so in the end.
type course struct {
	paymentMethod string
	// cancelAt is where the customer cancels; without it nobody does.
	cancelAt ordersv1.OrderState
	// parted says that one piece is sent, and comes back, and that the other is not sent any more.
	parted bool

	ends               ordersv1.OrderState
	payment            paymentsv1.PaymentState
	captured, refunded int64
	reservation        inventoryv1.ReservationState
	left               int64
}

// What is bought in a course, of how many.
const (
	price    = 1990
	pieces   = 10
	quantity = 2
)

var (
	bought = &course{
		paymentMethod: "pm_card_visa",
		ends:          ordersv1.OrderState_ORDER_STATE_CONFIRMED, left: pieces - quantity,
		payment: paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED, captured: quantity * price,
		reservation: inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED,
	}
	declined = &course{
		paymentMethod: "pm_card_declined",
		ends:          ordersv1.OrderState_ORDER_STATE_REJECTED, left: pieces,
		payment:     paymentsv1.PaymentState_PAYMENT_STATE_DECLINED,
		reservation: inventoryv1.ReservationState_RESERVATION_STATE_RELEASED,
	}
	// returned is cancelled when it is paid.
	returned = &course{
		paymentMethod: "pm_card_visa", cancelAt: ordersv1.OrderState_ORDER_STATE_CONFIRMED,
		ends: ordersv1.OrderState_ORDER_STATE_CANCELLED, left: pieces,
		payment: paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED, captured: quantity * price, refunded: quantity * price,
		reservation: inventoryv1.ReservationState_RESERVATION_STATE_RELEASED,
	}
	// sent is sent in part when it is paid, and in the end the customer has nothing and all of his money.
	sent = &course{
		paymentMethod: "pm_card_visa", parted: true,
		ends: ordersv1.OrderState_ORDER_STATE_RETURNED, left: pieces,
		payment: paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED, captured: quantity * price, refunded: quantity * price,
		reservation: inventoryv1.ReservationState_RESERVATION_STATE_RETURNED,
	}
	// stopped is cancelled while the provider, which takes its time, sets the money aside.
	stopped = &course{
		paymentMethod: "pm_slow", cancelAt: ordersv1.OrderState_ORDER_STATE_RESERVED,
		ends: ordersv1.OrderState_ORDER_STATE_CANCELLED, left: pieces,
		payment:     paymentsv1.PaymentState_PAYMENT_STATE_VOIDED,
		reservation: inventoryv1.ReservationState_RESERVATION_STATE_RELEASED,
	}
)

// visit is a customer who is about to order something that nobody else buys.
type visit struct {
	*house.Customer
	course  *course
	sku     string
	request *ordersv1.PlaceOrderRequest
	orderID string // When the order is acknowledged.
}

// enter brings a customer to the point where the order is one request away.
func (s *shop) enter(ctx context.Context, t *testing.T, c *course) *visit {
	t.Helper()
	sku, err := s.customer.Product(ctx, price, pieces)
	if err != nil {
		t.Fatal(err)
	}
	quoteID, err := s.customer.Quote(ctx, sku, quantity)
	if err != nil {
		t.Fatal(err)
	}
	request := &ordersv1.PlaceOrderRequest{RequestId: id.New("rq"), QuoteId: quoteID, PaymentMethod: c.paymentMethod}
	v := &visit{Customer: s.customer, course: c, sku: sku, request: request}
	s.visits = append(s.visits, v)
	return v
}

// play plays the course to its end, and returns what is not as it should be then. What fails on the way is repeated.
func (v *visit) play(ctx context.Context) error {
	order, err := v.toEnd(ctx)
	if err != nil {
		return err
	}
	return v.check(ctx, order)
}

// toEnd plays the course until the order has ended.
func (v *visit) toEnd(ctx context.Context) (*ordersv1.Order, error) {
	if err := v.place(ctx); err != nil {
		return nil, err
	}
	if v.course.cancelAt != 0 {
		if _, err := v.Await(ctx, v.orderID, v.course.cancelAt); err != nil {
			return nil, err
		}
		if err := v.Cancel(ctx, v.orderID); err != nil {
			return nil, err
		}
	}
	if v.course.parted {
		if _, err := v.Await(ctx, v.orderID, ordersv1.OrderState_ORDER_STATE_CONFIRMED); err != nil {
			return nil, err
		}
		if err := v.part(ctx); err != nil {
			return nil, err
		}
	}
	return v.Await(ctx, v.orderID, v.course.ends)
}

// part sends one piece, calls off the rest, takes the piece back, and waits until stock and money have followed.
func (v *visit) part(ctx context.Context) error {
	one := []*ordersv1.LineQuantity{{Sku: v.sku, Quantity: 1}}
	if _, err := house.Insist(ctx, v.Staff.Parcels.CreateFulfillment, &ordersv1.CreateFulfillmentRequest{RequestId: id.New("rq"), OrderId: v.orderID, Lines: one}); err != nil {
		return fmt.Errorf("ship: %w", err)
	}
	if _, err := house.Insist(ctx, v.Staff.Parcels.CancelRest, &ordersv1.CancelRestRequest{RequestId: id.New("rq"), OrderId: v.orderID}); err != nil {
		return fmt.Errorf("cancel the rest: %w", err)
	}
	if _, err := house.Insist(ctx, v.Staff.Parcels.ReturnLines, &ordersv1.ReturnLinesRequest{RequestId: id.New("rq"), OrderId: v.orderID, Lines: one}); err != nil {
		return fmt.Errorf("return: %w", err)
	}
	for settled := false; !settled; {
		answer, err := house.Insist(ctx, v.Staff.Parcels.ListReversals, &ordersv1.ListReversalsRequest{OrderId: v.orderID})
		if err != nil {
			return fmt.Errorf("list reversals: %w", err)
		}
		settled = !slices.ContainsFunc(answer.GetReversals(), func(r *ordersv1.Reversal) bool { return r.GetState() != ordersv1.ReversalState_REVERSAL_STATE_SETTLED })
		time.Sleep(20 * time.Millisecond) // There is nothing to watch.
	}
	return nil
}

// place orders.
func (v *visit) place(ctx context.Context) error {
	placed, err := house.Insist(ctx, v.Orders.PlaceOrder, v.request)
	if err != nil {
		return fmt.Errorf("place an order: %w", err)
	}
	v.orderID = placed.GetOrder().GetId()
	return nil
}

// check returns what is not as it should be when the order has ended.
func (v *visit) check(ctx context.Context, order *ordersv1.Order) error {
	repeated, err := house.Insist(ctx, v.Orders.PlaceOrder, v.request)
	if err != nil || repeated.GetOrder().GetId() != order.GetId() {
		return fmt.Errorf("the same request made the order %s, and %s (%v)", order.GetId(), repeated.GetOrder().GetId(), err)
	}
	paid, err := house.Insist(ctx, v.Inside.Payments.GetPayment, &paymentsv1.GetPaymentRequest{Id: order.GetPaymentId()})
	if err != nil {
		return fmt.Errorf("get the payment of order %s: %w", order.GetId(), err)
	}
	held, err := house.Insist(ctx, v.Inside.Inventory.GetReservation, &inventoryv1.GetReservationRequest{Id: order.GetReservationId()})
	if err != nil {
		return fmt.Errorf("get the reservation of order %s: %w", order.GetId(), err)
	}
	left, err := v.Available(ctx, v.sku)
	if err != nil {
		return err
	}
	payment, want := paid.GetPayment(), v.course
	if payment.GetState() != want.payment || payment.GetCaptured().GetAmount() != want.captured || payment.GetRefunded().GetAmount() != want.refunded ||
		held.GetReservation().GetState() != want.reservation || left != want.left {
		return fmt.Errorf("order %s: %s, %d captured, %d refunded, %s, %d left; want %s, %d, %d, %s, %d", order.GetId(),
			payment.GetState(), payment.GetCaptured().GetAmount(), payment.GetRefunded().GetAmount(), held.GetReservation().GetState(), left,
			want.payment, want.captured, want.refunded, want.reservation, want.left)
	}
	return nil
}
