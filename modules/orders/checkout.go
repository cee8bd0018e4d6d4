package orders

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/order"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/transition"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The times of a checkout.
const (
	// holdTTL is how long stock is held for an order that is not paid yet.
	holdTTL = 15 * time.Minute
	// stepTimeout bounds one call to another module.
	stepTimeout = 10 * time.Second
	// attempts and pause are how often, and how long apart, a step is tried that failed for a passing reason, before the order is
	// left to its job. The pause doubles.
	attempts = 6
	pause    = 100 * time.Millisecond
	// resumeAfter is when the job of an order looks whether it has been seen through.
	resumeAfter = 15 * time.Second
)

// checkout sees orders through: reserve stock, authorize the payment, commit the stock, capture the payment, confirm; or undo what
// has been done, in reverse.
//
// What to do next follows from the order alone (see nextMove), and every step is a call with a request id made of the order's id and
// the step's name. So a step may be repeated by whoever comes upon the order: it happens once.
type checkout struct {
	*service
	inventory inventoryv1connect.InventoryServiceClient
	payments  paymentsv1connect.PaymentServiceClient

	mu sync.Mutex
	// running holds the orders that this process is seeing through, and whether to look at them again at the end.
	running map[string]bool
}

// begin sees an order through in the background, unless this process is at it already.
func (c *checkout) begin(ctx context.Context, orderID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, running := c.running[orderID]; running {
		c.running[orderID] = true
		return
	}
	if c.running == nil {
		c.running = map[string]bool{}
	}
	c.running[orderID] = false
	if !c.tasks.Go(ctx, func(ctx context.Context) { c.run(ctx, orderID) }) {
		delete(c.running, orderID) // Too many at once, or the process stops: the order's job comes to it.
	}
}

func (c *checkout) run(ctx context.Context, orderID string) {
	for again := true; again; again = c.another(orderID) {
		c.driveOnce(ctx, orderID)
	}
}

// driveOnce drives an order, and lets no panic keep the order from being driven again.
func (c *checkout) driveOnce(ctx context.Context, orderID string) {
	defer func() {
		if p := recover(); p != nil {
			c.log.ErrorContext(ctx, "checkout panicked and is left to its job", "order", orderID, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if err := c.drive(ctx, orderID); err != nil {
		c.log.WarnContext(ctx, "checkout is left to its job", "order", orderID, "error", err)
	}
}

// another reports whether somebody has begun the order again meanwhile. If not, the order is given up to whoever begins it next.
func (c *checkout) another(orderID string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := c.running[orderID]
	if again {
		c.running[orderID] = false
	} else {
		delete(c.running, orderID)
	}
	return again
}

// drive makes one move after the other until the order is settled. It fails when a step keeps failing.
func (c *checkout) drive(ctx context.Context, orderID string) error {
	failures := 0
	for {
		row, err := c.store.Ent.Order.Get(ctx, orderID)
		if ent.IsNotFound(err) {
			return nil
		}
		if err == nil {
			next := nextMove(state(row.State), row.Reason)
			if next == rest {
				return nil
			}
			err = c.make(ctx, row, next)
		}
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures == attempts {
			return err
		}
		select {
		case <-time.After(rand.N(pause << failures)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// make makes one move. An error that will not pass turns the order back, by giving it a reason.
func (c *checkout) make(ctx context.Context, row *ent.Order, next move) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	var err error
	switch next {
	case reserve:
		err = c.reserve(ctx, row)
	case authorize:
		err = c.authorize(ctx, row)
	case finish:
		err = c.finish(ctx, row)
	case undo:
		return c.undo(ctx, row)
	}
	reason := lasting(err)
	switch {
	case reason == "":
		return err
	case next == reserve: // A refusal is an answer: nothing has been done that could be undone.
		return c.reject(ctx, row.ID, reason)
	default:
		return c.turnBack(ctx, row.ID, change{reason: reason, note: "a step was refused"})
	}
}

// lasting returns the reason of an error that will not pass by itself, or "".
func lasting(err error) string {
	var connectErr *connect.Error
	if !errors.As(err, &connectErr) {
		return ""
	}
	switch connectErr.Code() {
	case connect.CodeFailedPrecondition, connect.CodeInvalidArgument, connect.CodeNotFound, connect.CodeOutOfRange, connect.CodePermissionDenied,
		connect.CodeUnimplemented, connect.CodeUnauthenticated, connect.CodeAlreadyExists:
		if reason := rpc.Reason(err); reason != "" {
			return reason
		}
		return "REFUSED"
	}
	return ""
}

// refused reports whether an error says that a step was looked at and not taken. Of other lasting errors one cannot tell.
func refused(err error) bool {
	code := connect.CodeOf(err)
	return err != nil && (code == connect.CodeFailedPrecondition || code == connect.CodeInvalidArgument)
}

func (c *checkout) reserve(ctx context.Context, row *ent.Order) error {
	request := &inventoryv1.ReserveRequest{RequestId: row.ID + "/reserve", Reference: row.ID, Ttl: durationpb.New(holdTTL)}
	for _, l := range row.Lines {
		request.Lines = append(request.Lines, &inventoryv1.Line{Sku: l.SKU, Quantity: l.Quantity})
	}
	answer, err := c.inventory.Reserve(ctx, request)
	if err != nil {
		return fmt.Errorf("reserve stock: %w", err)
	}
	return c.advance(ctx, row.ID, change{state: reserved, reservationID: answer.GetReservation().GetId(), note: "stock reserved"})
}

func (c *checkout) authorize(ctx context.Context, row *ent.Order) error {
	if row.Total == 0 {
		return c.advance(ctx, row.ID, change{state: paying, note: "nothing to pay"})
	}
	payment, err := c.authorized(ctx, row)
	if err != nil {
		return err
	}
	switch payment.GetState() {
	case paymentsv1.PaymentState_PAYMENT_STATE_DECLINED:
		return c.turnBack(ctx, row.ID, change{reason: "CARD_DECLINED", paymentID: payment.GetId(), note: "the card was declined"})
	case paymentsv1.PaymentState_PAYMENT_STATE_CREATED, paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZING, paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN:
		if state(row.State) != paymentUnknown {
			if err := c.advance(ctx, row.ID, change{state: paymentUnknown, paymentID: payment.GetId(), note: "the payment provider has not answered"}); err != nil {
				return err
			}
		}
		return errors.New("the outcome of the payment is not known yet")
	case paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED,
		// Somebody else has seen the order further than this one knows.
		paymentsv1.PaymentState_PAYMENT_STATE_CAPTURING, paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED:
		return c.advance(ctx, row.ID, change{state: paying, paymentID: payment.GetId(), note: "payment authorized"})
	default:
		return c.turnBack(ctx, row.ID, change{reason: "PAYMENT_STATE", paymentID: payment.GetId(), note: "the payment is not to be had"})
	}
}

// authorized asks for the order's payment. The same question, asked again, gets the same payment.
func (c *checkout) authorized(ctx context.Context, row *ent.Order) (*paymentsv1.Payment, error) {
	answer, err := c.payments.AuthorizePayment(ctx, &paymentsv1.AuthorizePaymentRequest{
		RequestId: row.ID + "/authorize", Reference: row.ID, PaymentMethod: row.PaymentMethod,
		Amount: &typev1.Money{Amount: row.Total, Currency: row.Currency},
	})
	if err != nil {
		return nil, fmt.Errorf("authorize payment: %w", err)
	}
	return answer.GetPayment(), nil
}

// finish commits the stock before it takes the money, because stock can be had again and a charge annoys.
func (c *checkout) finish(ctx context.Context, row *ent.Order) error {
	if _, err := c.inventory.CommitReservation(ctx, &inventoryv1.CommitReservationRequest{RequestId: row.ID + "/commit", Id: row.ReservationID}); err != nil {
		return fmt.Errorf("commit stock: %w", err)
	}
	note := "nothing to pay"
	if row.Total > 0 {
		note = "payment captured"
		answer, err := c.payments.CapturePayment(ctx, &paymentsv1.CapturePaymentRequest{RequestId: row.ID + "/capture", Id: row.PaymentID})
		if err != nil {
			return fmt.Errorf("capture payment: %w", err)
		}
		switch answer.GetPayment().GetState() {
		case paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED:
		case paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED: // The provider refused: the same question gets the same answer.
			return c.turnBack(ctx, row.ID, change{reason: "CAPTURE_REFUSED", note: "the capture was refused"})
		default:
			return errors.New("the payment is not captured yet")
		}
	}
	return c.advance(ctx, row.ID, change{state: confirmed, note: note})
}

// undo gives everything back, in reverse: the money, then the stock.
func (c *checkout) undo(ctx context.Context, row *ent.Order) error {
	// Where it is not known whether a step was taken, because its answer was never written down, the step is repeated under its
	// request id to learn what there is to give back.
	if row.ReservationID == "" {
		if err := c.reserve(ctx, row); !refused(err) {
			return err // Come back with the reservation, or after a pause.
		}
		return c.advance(ctx, row.ID, change{state: end(state(row.State)), note: "nothing had been reserved"})
	}
	// Nobody asks for a payment before the stock is reserved.
	wasReserved, err := c.store.Ent.Transition.Query().Where(transition.OrderID(row.ID), transition.State(string(reserved))).Exist(ctx)
	if err != nil {
		return err
	}
	if wasReserved && row.Total > 0 {
		err := c.undoPayment(ctx, row)
		if errors.Is(err, errRefusedUndo) {
			return c.review(ctx, row.ID)
		}
		if err != nil {
			return err
		}
	}
	if _, err := c.inventory.ReleaseReservation(ctx, &inventoryv1.ReleaseReservationRequest{RequestId: row.ID + "/release", Id: row.ReservationID}); err != nil {
		return fmt.Errorf("release stock: %w", err)
	}
	return c.advance(ctx, row.ID, change{state: end(state(row.State)), note: "stock and money given back"})
}

// errRefusedUndo says that the provider does not give back what it has taken or set aside.
var errRefusedUndo = errors.New("the payment provider refuses to give the money back")

// review leaves an order to people, with its stock as it is. Who looks at it finds what was done in the payment.
func (c *checkout) review(ctx context.Context, orderID string) error {
	return c.update(ctx, orderID, func(ctx context.Context, tx tx, row *ent.Order) error {
		if state(row.State).settled() {
			return nil
		}
		return record(ctx, tx, row, change{state: needsReview, note: errRefusedUndo.Error()})
	})
}

// undoPayment sees to it that the order's payment ends with nothing charged.
func (c *checkout) undoPayment(ctx context.Context, row *ent.Order) error {
	payment, err := c.payment(ctx, row)
	if row.PaymentID == "" && refused(err) {
		return nil // So there is none.
	}
	if err != nil {
		return err
	}
	switch payment.GetState() {
	case paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED:
		answer, err := c.payments.VoidPayment(ctx, &paymentsv1.VoidPaymentRequest{RequestId: row.ID + "/void", Id: payment.GetId()})
		if err != nil {
			return fmt.Errorf("void payment: %w", err)
		}
		payment = answer.GetPayment()
	case paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED, paymentsv1.PaymentState_PAYMENT_STATE_PARTIALLY_REFUNDED:
		answer, err := c.payments.RefundPayment(ctx, &paymentsv1.RefundPaymentRequest{RequestId: row.ID + "/refund", Id: payment.GetId()})
		if err != nil {
			return fmt.Errorf("refund payment: %w", err)
		}
		payment = answer.GetPayment()
	}
	switch payment.GetState() {
	case paymentsv1.PaymentState_PAYMENT_STATE_DECLINED, paymentsv1.PaymentState_PAYMENT_STATE_VOIDED, paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED:
		return nil
	case paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED, paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED:
		// The provider refused to give it back, and would refuse again: somebody has to look at it.
		return errRefusedUndo
	default:
		return fmt.Errorf("payment %s is %s: not undone yet", payment.GetId(), payment.GetState())
	}
}

// payment returns the order's payment. One that nobody has written down, or whose outcome is open, is asked for (again). One that is
// known is only looked up: after some days a repetition would not be taken for one any more, and would be paid for anew.
func (c *checkout) payment(ctx context.Context, row *ent.Order) (*paymentsv1.Payment, error) {
	if row.PaymentID == "" {
		return c.authorized(ctx, row)
	}
	answer, err := c.payments.GetPayment(ctx, &paymentsv1.GetPaymentRequest{Id: row.PaymentID})
	if err != nil {
		return nil, fmt.Errorf("look up payment: %w", err)
	}
	switch answer.GetPayment().GetState() {
	case paymentsv1.PaymentState_PAYMENT_STATE_CREATED, paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZING, paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN:
		return c.authorized(ctx, row)
	default:
		return answer.GetPayment(), nil
	}
}

// reject ends an order whose stock could not be reserved, unless somebody else has got further with it or it is being cancelled.
func (c *checkout) reject(ctx context.Context, orderID, reason string) error {
	return c.update(ctx, orderID, func(ctx context.Context, tx tx, row *ent.Order) error {
		if state(row.State) != pending {
			return nil
		}
		return record(ctx, tx, row, change{state: rejected, reason: reason, note: "stock could not be reserved"})
	})
}

// advance moves an order on and writes down what a step brought. If somebody else has moved it or turned it back meanwhile, only
// what the step brought is written down, and the next move follows from what the order is then.
func (c *checkout) advance(ctx context.Context, orderID string, step change) error {
	return c.update(ctx, orderID, func(ctx context.Context, tx tx, row *ent.Order) error {
		turnedBack := row.Reason != "" && step.state != rejected && step.state != cancelled
		if !state(row.State).canBecome(step.state) || turnedBack {
			step.state = ""
		}
		if brings := progressOf(row).after(step); brings.state == state(row.State) && brings.reservationID == row.ReservationID && brings.paymentID == row.PaymentID {
			return nil
		}
		return record(ctx, tx, row, step)
	})
}

// turnBack gives an order a reason to be undone. The first reason stays.
func (c *checkout) turnBack(ctx context.Context, orderID string, why change) error {
	return c.update(ctx, orderID, func(ctx context.Context, tx tx, row *ent.Order) error {
		if state(row.State).settled() || row.Reason != "" {
			return nil
		}
		return record(ctx, tx, row, why)
	})
}

// update changes a locked order in a transaction, and tells those who watch it.
func (c *checkout) update(ctx context.Context, orderID string, change func(context.Context, tx, *ent.Order) error) error {
	err := c.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		row, err := tx.Ent.Order.Query().Where(order.ID(orderID)).ForUpdate().Only(ctx)
		if err != nil {
			return err
		}
		return change(ctx, tx, row)
	})
	if err != nil {
		return fmt.Errorf("update order %s: %w", orderID, err)
	}
	c.changes.tell(orderID)
	return nil
}
