package orders

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/saga"
)

// holdTTL is how long stock is held for an order that is not paid yet, and how much longer when the provider does not answer.
const holdTTL = 15 * time.Minute

// purchase is the state of a checkout: what its steps need, and what they brought. Its saga has the order's id.
type purchase struct {
	UserID        string   `json:"user_id,omitempty"` // missing in what was begun by an earlier release
	Lines         []bought `json:"lines"`
	Total         int64    `json:"total"`
	Currency      string   `json:"currency"`
	PaymentMethod string   `json:"payment_method"`
	ReservationID string   `json:"reservation_id,omitempty"`
	PaymentID     string   `json:"payment_id,omitempty"`
	// Silences counts how often the provider had not answered when it was asked for the payment.
	Silences int `json:"silences,omitempty"`
	// Refusals counts how often the provider refused to give the money back. Each try after one is a request of its own.
	Refusals int `json:"refusals,omitempty"`
}

// bought is what a purchase needs of a line. Titles and prices stay with the order, because the state is written anew by most steps.
type bought struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

func purchaseOf(row *ent.Order) purchase {
	lines := make([]bought, 0, len(row.Lines))
	for _, l := range row.Lines {
		lines = append(lines, bought{l.SKU, l.Quantity})
	}
	return purchase{
		UserID: row.UserID, Lines: lines, Total: row.Total, Currency: row.Currency, PaymentMethod: row.PaymentMethod,
		ReservationID: row.ReservationID, PaymentID: row.PaymentID,
	}
}

// checkout sees orders through: reserve stock, authorize the payment, commit the stock, capture the payment; or undoes what has been
// done, in reverse.
//
// When all goes well it commits four times after the order is placed, each time that the saga is at the next step: when the stock is
// reserved and when the payment is authorized, which customers see; when the stock is committed, which nobody sees, so that it does
// not wait for the disk; and when the payment is captured, which confirms the order.
type checkout struct {
	inventory inventoryv1connect.InventoryServiceClient
	payments  paymentsv1connect.PaymentServiceClient
	coupons   interface {
		release(ctx context.Context, orderID string) error
	}
	changes *changes
	events  *event.Events
}

// The steps of a checkout.
const (
	stepReserve   = "reserve"
	stepAuthorize = "authorize"
	stepCommit    = "commit"
	stepCapture   = "capture"
	// stepCoupon is the first of an order with a coupon. The order has used that when it was placed, so there is nothing to do but the way
	// back.
	stepCoupon = "coupon"
)

func (c *checkout) definition() saga.Definition[purchase] {
	return saga.Definition[purchase]{
		Kind: "checkout",
		Steps: []saga.Step[purchase]{
			{Name: stepReserve, Do: c.reserve, Undo: c.release},
			{Name: stepAuthorize, Do: c.authorize, Undo: c.cancelPayment},
			// The stock is committed before the money is taken, because stock can be had again and a charge annoys. What both did is
			// undone with the reservation and the payment.
			{Name: stepCommit, Do: c.commit, Quiet: true},
			{Name: stepCapture, Do: c.capture},
		},
		Boundary: c.boundary,
	}
}

// withCoupon is the checkout of an order with a coupon. It is a kind of its own, so that no other order writes down a step more.
func (c *checkout) withCoupon() saga.Definition[purchase] {
	d := c.definition()
	d.Kind = "checkout_with_coupon"
	d.Steps = slices.Insert(d.Steps, 0, saga.Step[purchase]{Name: stepCoupon, Undo: c.releaseCoupon, Quiet: true})
	return d
}

func (c *checkout) releaseCoupon(ctx context.Context, r *saga.Run[purchase]) error {
	return c.coupons.release(ctx, r.ID)
}

func (c *checkout) reserve(ctx context.Context, r *saga.Run[purchase]) error {
	request := &inventoryv1.ReserveRequest{RequestId: r.Key, Reference: r.ID, Ttl: durationpb.New(holdTTL)}
	for _, l := range r.State.Lines {
		request.Lines = append(request.Lines, &inventoryv1.Line{Sku: l.SKU, Quantity: l.Quantity})
	}
	answer, err := c.inventory.Reserve(ctx, request)
	if err != nil {
		return fmt.Errorf("reserve stock: %w", err)
	}
	r.State.ReservationID = answer.GetReservation().GetId()
	return nil
}

// release gives the stock back. Where the answer to the reservation was lost it names the request, which is refused from then on. A
// reservation that is known is named by its id, which is not forgotten.
func (c *checkout) release(ctx context.Context, r *saga.Run[purchase]) error {
	request := &inventoryv1.ReleaseReservationRequest{RequestId: r.ID + "/release", Id: r.State.ReservationID}
	if r.State.ReservationID == "" {
		request.RequestId, request.ReserveRequestId = r.ID+"/revoke", r.Key
	}
	answer, err := c.inventory.ReleaseReservation(ctx, request)
	if err != nil {
		return fmt.Errorf("release stock: %w", err)
	}
	r.State.ReservationID = answer.GetReservation().GetId()
	return nil
}

func (c *checkout) authorize(ctx context.Context, r *saga.Run[purchase]) error {
	if r.State.Total == 0 {
		return nil
	}
	answer, err := c.payments.AuthorizePayment(ctx, &paymentsv1.AuthorizePaymentRequest{
		RequestId: r.Key, Reference: r.ID, PaymentMethod: r.State.PaymentMethod,
		Amount: &typev1.Money{Amount: r.State.Total, Currency: r.State.Currency},
	})
	if err != nil {
		return fmt.Errorf("authorize payment: %w", err)
	}
	r.State.PaymentID = answer.GetPayment().GetId()
	switch answer.GetPayment().GetState() {
	case paymentsv1.PaymentState_PAYMENT_STATE_DECLINED:
		return saga.Refuse("CARD_DECLINED")
	case paymentsv1.PaymentState_PAYMENT_STATE_CREATED, paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZING, paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN:
		if r.State.Silences++; r.State.Silences == 1 {
			// Without a longer hold the pieces may be gone when the provider says yes; then the money goes back.
			_, _ = c.inventory.ExtendReservation(ctx, &inventoryv1.ExtendReservationRequest{
				RequestId: r.ID + "/extend", Id: r.State.ReservationID, Ttl: durationpb.New(holdTTL),
			})
		}
		return saga.Wait("the payment provider has not answered")
	case paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED,
		// Somebody else has seen the order further than this one knows.
		paymentsv1.PaymentState_PAYMENT_STATE_CAPTURING, paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED:
		return nil
	default:
		return saga.Refuse("PAYMENT_STATE")
	}
}

// cancelPayment sees to it that the payment ends with nothing charged, wherever it is, also if it has not begun.
func (c *checkout) cancelPayment(ctx context.Context, r *saga.Run[purchase]) error {
	if r.State.Total == 0 {
		return nil
	}
	answer, err := c.payments.CancelPayment(ctx, &paymentsv1.CancelPaymentRequest{
		RequestId: fmt.Sprintf("%s/cancel/%d", r.ID, r.State.Refusals), AuthorizeRequestId: r.Key,
	})
	if err != nil {
		return fmt.Errorf("cancel payment: %w", err)
	}
	if r.State.PaymentID != "" && answer.GetPayment() == nil {
		return saga.Stuck("payment " + r.State.PaymentID + " is not found by the request that made it")
	}
	r.State.PaymentID = answer.GetPayment().GetId()
	switch answer.GetCancellation() {
	case paymentsv1.Cancellation_CANCELLATION_DONE:
		return nil
	case paymentsv1.Cancellation_CANCELLATION_REFUSED:
		r.State.Refusals++
		return saga.Stuck("the payment provider refuses to give the money back")
	default:
		return saga.Wait("the payment provider has yet to give the money back")
	}
}

func (c *checkout) commit(ctx context.Context, r *saga.Run[purchase]) error {
	if _, err := c.inventory.CommitReservation(ctx, &inventoryv1.CommitReservationRequest{RequestId: r.Key, Id: r.State.ReservationID}); err != nil {
		return fmt.Errorf("commit stock: %w", err)
	}
	return nil
}

func (c *checkout) capture(ctx context.Context, r *saga.Run[purchase]) error {
	if r.State.Total == 0 {
		return nil
	}
	answer, err := c.payments.CapturePayment(ctx, &paymentsv1.CapturePaymentRequest{RequestId: r.Key, Id: r.State.PaymentID})
	if err != nil {
		return fmt.Errorf("capture payment: %w", err)
	}
	switch answer.GetPayment().GetState() {
	case paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED,
		// It was captured: somebody has given money back since.
		paymentsv1.PaymentState_PAYMENT_STATE_PARTIALLY_REFUNDED, paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED:
		return nil
	case paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED: // The provider refused: the same question gets the same answer.
		return saga.Refuse("CAPTURE_REFUSED")
	default:
		return saga.Wait("the payment is not captured yet")
	}
}

// boundary writes what a step means to the order, if it means anything.
func (c *checkout) boundary(ctx context.Context, tx pgx.Tx, what saga.Change[purchase]) error {
	next, note := moved(what)
	if next == "" {
		return nil
	}
	tell := func(h *happened) { db.AfterCommit(ctx, func() { c.changes.tell(what.ID, *h) }) }
	total := &typev1.Money{Amount: what.State.Total, Currency: what.State.Currency}
	publish := func(sequence int64, userID string) error {
		return c.events.Publish(ctx, tx, what.ID, sequence, eventOf(next, what.ID, userID, total, what.Reason))
	}
	entry := change{state: next, reason: what.Reason, reservationID: what.State.ReservationID, paymentID: what.State.PaymentID, note: note}
	if !next.settled() {
		tell(follow(tx, what.ID, entry))
		return nil
	}
	if next == confirmed && what.State.UserID != "" && db.FirstTry(ctx) {
		// What most orders have gone through gives this change its number, so nobody waits to be told: if it is another one, the change
		// is refused, and all this is done again.
		entry.sequence = usualSequence(what.State)
		tell(follow(tx, what.ID, entry))
		return publish(entry.sequence, what.State.UserID)
	}
	if next == needsReview {
		// Stuck again after a person had it resumed: it is left to people already, and they read why in the saga's timeline.
		var is state
		if err := tx.QueryRow(ctx, `SELECT state FROM "order" WHERE id = $1`, what.ID).Scan(&is); err != nil {
			return fmt.Errorf("load order %s: %w", what.ID, err)
		}
		if is == needsReview {
			return nil
		}
	}
	h, err := followNow(ctx, tx, what.ID, entry)
	if err != nil {
		return err
	}
	tell(h)
	return publish(h.sequence, h.userID)
}
