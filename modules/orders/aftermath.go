package orders

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

// aftermath has stock and money follow what was done with an order that was confirmed. That has happened: a parcel is on its way, a
// customer has brought something back. So there is no way back, and what is refused is left to a person.
type aftermath struct {
	inventory inventoryv1connect.InventoryServiceClient
	payments  paymentsv1connect.PaymentServiceClient
	events    *event.Events
}

// parcel is the state of what follows a fulfilment. Its saga has the fulfilment's id.
type parcel struct {
	ReservationID string          `json:"reservation_id"`
	Lines         []schema.Pieces `json:"lines"`
}

// reversing is the state of what follows a reversal. Its saga has the reversal's id.
type reversing struct {
	ReservationID string          `json:"reservation_id"`
	PaymentID     string          `json:"payment_id,omitempty"`
	Kind          reversalKind    `json:"kind"`
	Lines         []schema.Pieces `json:"lines"`
	Discard       bool            `json:"discard,omitempty"`
	Refund        int64           `json:"refund"`
	Currency      string          `json:"currency"`
	// Refusals counts how often the provider refused to give the money back. Each try after one is a request of its own.
	Refusals int `json:"refusals,omitempty"`
}

// The steps of what follows.
const (
	stepShip   = "ship"
	stepGoods  = "goods"
	stepRefund = "refund"
)

func (a *aftermath) fulfillment() saga.Definition[parcel] {
	return saga.Definition[parcel]{Kind: "fulfillment", Steps: []saga.Step[parcel]{{Name: stepShip, Do: a.ship}}}
}

func (a *aftermath) reversal() saga.Definition[reversing] {
	return saga.Definition[reversing]{
		Kind: "reversal", Steps: []saga.Step[reversing]{{Name: stepGoods, Do: a.goods}, {Name: stepRefund, Do: a.refund}}, Boundary: a.settle,
	}
}

func (a *aftermath) ship(ctx context.Context, r *saga.Run[parcel]) error {
	_, err := a.inventory.ShipReservation(ctx, &inventoryv1.ShipReservationRequest{RequestId: r.Key, Id: r.State.ReservationID, Lines: stockLines(r.State.Lines)})
	return onward("ship stock", err)
}

// goods puts the pieces where they belong.
func (a *aftermath) goods(ctx context.Context, r *saga.Run[reversing]) error {
	lines := stockLines(r.State.Lines)
	if r.State.Kind == byCancellation {
		_, err := a.inventory.ReleaseReservation(ctx, &inventoryv1.ReleaseReservationRequest{RequestId: r.Key, Id: r.State.ReservationID, Lines: lines})
		return onward("release stock", err)
	}
	_, err := a.inventory.ReturnReservation(ctx, &inventoryv1.ReturnReservationRequest{
		RequestId: r.Key, Id: r.State.ReservationID, Lines: lines, Discard: r.State.Discard,
	})
	switch rpc.Reason(err) {
	case "TOO_MANY", inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED.String(): // They were shipped, but inventory has yet to hear of it.
		return saga.Wait("inventory has not heard that the pieces were shipped")
	}
	return onward("return stock", err)
}

// refund gives back what was paid for the pieces.
func (a *aftermath) refund(ctx context.Context, r *saga.Run[reversing]) error {
	if r.State.Refund == 0 {
		return nil
	}
	answer, err := a.payments.RefundPayment(ctx, &paymentsv1.RefundPaymentRequest{
		RequestId: fmt.Sprintf("%s/%d", r.Key, r.State.Refusals), Id: r.State.PaymentID,
		Amount: &typev1.Money{Amount: r.State.Refund, Currency: r.State.Currency},
	})
	if err != nil {
		return onward("refund payment", err)
	}
	switch answer.GetRefund().GetState() {
	case paymentsv1.RefundState_REFUND_STATE_SETTLED:
		return nil
	case paymentsv1.RefundState_REFUND_STATE_FAILED:
		r.State.Refusals++
		return saga.Stuck("the payment provider refuses to give the money back: " + answer.GetRefund().GetDeclineCode())
	default:
		return saga.Wait("the payment provider has yet to give the money back")
	}
}

// settle writes down how far a reversal has come, where that can be seen.
func (a *aftermath) settle(ctx context.Context, tx pgx.Tx, c saga.Change[reversing]) error {
	switch {
	case c.Done:
		db.Defer(tx, settleSQL, c.ID, string(reversalSettled))
		if c.State.Refund > 0 {
			return a.refunded(ctx, tx, c)
		}
	case c.What == saga.GotStuck:
		db.Defer(tx, settleSQL, c.ID, string(reversalToReview))
	}
	return nil
}

// refunded tells others that money has gone back, with an entry in the order's log for it.
func (a *aftermath) refunded(ctx context.Context, tx pgx.Tx, c saga.Change[reversing]) error {
	told := &ordersv1.OrderRefunded{ReversalId: c.ID, Refund: &typev1.Money{Amount: c.State.Refund, Currency: c.State.Currency}}
	var sequence int64
	err := tx.QueryRow(ctx, `WITH moved AS (
			UPDATE "order" o SET sequence = o.sequence + 1, update_time = now() FROM reversal r WHERE r.id = $1 AND o.id = r.order_id
			RETURNING o.id, o.user_id, o.sequence
		), logged AS (
			INSERT INTO transition (order_id, sequence, state, note) SELECT id, sequence, '', $2 FROM moved
		) SELECT id, user_id, sequence FROM moved`, c.ID, "paid back for "+c.ID).Scan(&told.OrderId, &told.UserId, &sequence)
	if err != nil {
		return fmt.Errorf("note the refund of %s: %w", c.ID, err)
	}
	return a.events.Publish(ctx, tx, told.GetOrderId(), sequence, told)
}

// settleSQL says how far a reversal has come.
const settleSQL = "UPDATE reversal SET state = $2 WHERE id = $1"

// onward leaves to a person what would turn a saga back that has no way back.
func onward(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w", what, err)
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted, connect.CodeAborted, connect.CodeCanceled,
		connect.CodeInternal, connect.CodeUnknown:
		return err
	}
	return saga.Stuck(err.Error())
}

func stockLines(pieces []schema.Pieces) []*inventoryv1.Line {
	lines := make([]*inventoryv1.Line, 0, len(pieces))
	for _, p := range pieces {
		lines = append(lines, &inventoryv1.Line{Sku: p.SKU, Quantity: p.Quantity})
	}
	return lines
}
