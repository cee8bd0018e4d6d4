package orders

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/transition"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/page"
)

// record changes a locked order, and the row at hand with it, and appends the change to the order's log. The database lets nobody
// alter or remove what is in the log.
func record(ctx context.Context, tx tx, row *ent.Order, c change) error {
	before := progressOf(row)
	if !before.legal(c) {
		return fmt.Errorf("order %s is %s and cannot become %s", row.ID, before.state, c.state)
	}
	after := before.after(c)
	if err := tx.QueryRow(ctx, `UPDATE "order" SET state = $2, reason = $3, reservation_id = $4, payment_id = $5, sequence = $6, update_time = now()
		WHERE id = $1 RETURNING update_time`,
		row.ID, string(after.state), after.reason, after.reservationID, after.paymentID, after.sequence).Scan(&row.UpdateTime); err != nil {
		return fmt.Errorf("update order %s: %w", row.ID, err)
	}
	setProgress(row, after)
	appendChange(tx, row.ID, after.sequence, c)
	return nil
}

// follow is [record] for an order that nobody has read, but whose saga is locked, so that nobody else changes it. It goes with the next
// statement or the commit, and the database refuses that if the order may not become what it shall, or is not there. What it returns is
// filled in then.
func follow(tx pgx.Tx, orderID string, c change) *happened {
	h := &happened{change: c}
	db.Defer(tx, followSQL, followArgs(orderID, c)...).QueryRow(h.scan)
	return h
}

// followNow is [follow] at once.
func followNow(ctx context.Context, tx pgx.Tx, orderID string, c change) (*happened, error) {
	h := &happened{change: c}
	if err := h.scan(tx.QueryRow(ctx, followSQL, followArgs(orderID, c)...)); err != nil {
		return nil, fmt.Errorf("change order %s to %s: %w", orderID, c.state, err)
	}
	return h, nil
}

// happened is a change that was written down.
type happened struct {
	change
	time   time.Time
	userID string // whose order it is
}

func (h *happened) scan(row pgx.Row) error { return row.Scan(&h.sequence, &h.time, &h.userID) }

// The log takes no entry without a sequence: it refuses one of an order that was not changed, also because it is not there. So the
// statement yields a row or fails on the server, never nothing, which would be found out after the commit.
const followSQL = `WITH was AS (
			SELECT reason, reservation_id, payment_id FROM "order" WHERE id = $1
		), moved AS (
			UPDATE "order" SET state = $2, reason = coalesce(nullif($3, ''), reason), reservation_id = coalesce(nullif($4, ''), reservation_id),
				payment_id = coalesce(nullif($5, ''), payment_id), sequence = sequence + 1, open = (open OR state = 'needs_review') AND NOT $9, update_time = now()
			WHERE id = $1 AND state = ANY ($6) AND ($8 = 0 OR sequence = $8 - 1) RETURNING sequence, user_id
		) INSERT INTO transition (order_id, state, reason, reservation_id, payment_id, note, sequence)
		SELECT $1, $2, CASE WHEN reason = $3 THEN '' ELSE $3 END, CASE WHEN reservation_id = $4 THEN '' ELSE $4 END,
			CASE WHEN payment_id = $5 THEN '' ELSE $5 END, $7, (SELECT sequence FROM moved) FROM (VALUES (1)) one LEFT JOIN was ON true
		RETURNING sequence, create_time, (SELECT user_id FROM moved)`

func followArgs(orderID string, c change) []any {
	return []any{orderID, string(c.state), c.reason, c.reservationID, c.paymentID, before(c.state), c.note, c.sequence, c.state.settled()}
}

// appendChange adds an entry to an order's log. Its time is the database's.
func appendChange(tx tx, orderID string, sequence int64, c change) {
	tx.Defer(`INSERT INTO transition (order_id, sequence, state, reason, reservation_id, payment_id, note) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		orderID, sequence, string(c.state), c.reason, c.reservationID, c.paymentID, c.note)
}

// progressOf returns what changes of a row.
func progressOf(row *ent.Order) progress {
	return progress{
		state: state(row.State), reason: row.Reason, reservationID: row.ReservationID, paymentID: row.PaymentID, sequence: row.Sequence,
	}
}

func setProgress(row *ent.Order, p progress) {
	row.State, row.Reason, row.ReservationID, row.PaymentID, row.Sequence = string(p.state), p.reason, p.reservationID, p.paymentID, p.sequence
}

// ListOrderEvents pages through the log of an order.
func (s *service) ListOrderEvents(ctx context.Context, r *ordersv1.ListOrderEventsRequest) (*ordersv1.ListOrderEventsResponse, error) {
	row, err := s.ownOrder(ctx, r.GetOrderId())
	if err != nil {
		return nil, err
	}
	size := page.Size(r.GetPageSize())
	entries, err := s.store.Ent.Transition.Query().
		Where(transition.OrderID(row.ID), transition.SequenceGT(r.GetAfterSequence())).Order(transition.BySequence()).Limit(size).All(ctx)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &ordersv1.ListOrderEventsResponse{}
	for _, e := range entries {
		answer.Events = append(answer.Events, &ordersv1.OrderEvent{
			Sequence: e.Sequence, State: messageStates[state(e.State)], Reason: e.Reason, ReservationId: e.ReservationID, PaymentId: e.PaymentID,
			Note: e.Note, Time: timestamppb.New(e.CreateTime),
		})
	}
	return answer, nil
}
