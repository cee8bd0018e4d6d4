package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/payments/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/rpc"
)

type tx = db.Tx[*ent.Client]

// locked is a payment under its lock.
type locked struct {
	*ent.Payment
	// now is the time of the transaction: what the database's now() is for all of its statements.
	now time.Time
}

// lockPayment locks a payment and loads it with its attempts, oldest first, in one round trip. The attempts of a payment change only
// under its lock. They are read by a statement that begins when the lock is held, so it sees what the last holder wrote.
func lockPayment(ctx context.Context, tx tx, paymentID string) (locked, error) {
	var now time.Time
	p := &ent.Payment{ID: paymentID}
	batch := &pgx.Batch{}
	batch.Queue(`SELECT reference, state, amount, captured, refunded, currency, payment_method, charge_id, decline_code, cancellation,
		create_time, update_time, now() FROM payment WHERE id = $1 FOR UPDATE`, paymentID).QueryRow(func(row pgx.Row) error {
		return row.Scan(&p.Reference, &p.State, &p.Amount, &p.Captured, &p.Refunded, &p.Currency, &p.PaymentMethod, &p.ChargeID,
			&p.DeclineCode, &p.Cancellation, &p.CreateTime, &p.UpdateTime, &now)
	})
	batch.Queue("SELECT id, kind, amount, outcome, decline_code, create_time FROM attempt WHERE payment_id = $1 ORDER BY id", paymentID).
		Query(func(rows pgx.Rows) (err error) {
			p.Edges.Attempts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*ent.Attempt, error) {
				a := &ent.Attempt{PaymentID: paymentID, Edges: ent.AttemptEdges{Payment: p}}
				return a, row.Scan(&a.ID, &a.Kind, &a.Amount, &a.Outcome, &a.DeclineCode, &a.CreateTime)
			})
			return err
		})
	err := tx.SendBatch(ctx, batch).Close()
	if errors.Is(err, pgx.ErrNoRows) {
		return locked{}, rpc.NotFound("payment", paymentID)
	}
	if err != nil {
		return locked{}, fmt.Errorf("lock payment %s: %w", paymentID, err)
	}
	return locked{p, now}, nil
}

// insertPayment writes a new payment down.
func insertPayment(tx tx, row *ent.Payment) {
	tx.Defer("INSERT INTO payment (id, reference, state, amount, currency, payment_method, caller, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		row.ID, row.Reference, row.State, row.Amount, row.Currency, row.PaymentMethod, row.Caller, row.RequestID)
}

// isTaken reports whether a payment was not written down because there is one of the same request id.
func isTaken(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.ConstraintName == "payment_caller_request_id"
}

// begin returns an attempt of a locked payment: the row of one that is written down already, or a new one, which it writes down. Its id
// is also the provider's key. The sweep sees it through unless it is settled before.
func begin(tx tx, row locked, a attempt) (*ent.Attempt, error) {
	if written := attemptOf(row.Payment, a.id); written != nil {
		return written, nil
	}
	written := insertAttempt(tx, row.Payment, a)
	return written, updatePayment(tx, row)
}

// insertAttempt writes a new attempt down.
func insertAttempt(tx tx, row *ent.Payment, a attempt) *ent.Attempt {
	written := &ent.Attempt{
		ID: id.New("att"), PaymentID: row.ID, Kind: string(a.kind), Amount: a.amount, Outcome: string(a.outcome),
		Edges: ent.AttemptEdges{Payment: row},
	}
	tx.Defer("INSERT INTO attempt (id, payment_id, kind, amount, outcome, next_time) VALUES ($1, $2, $3, $4, $5, now() + $6::interval)",
		written.ID, row.ID, written.Kind, written.Amount, written.Outcome, askAgainAfter)
	row.Edges.Attempts = append(row.Edges.Attempts, written)
	return written
}

// settle stores what came of an attempt of a locked payment, moves the payment on, and writes the ledger. An attempt whose outcome is
// known already stays as it is. What follows of a payment that is cancelled it begins at once: a success that becomes known too late
// is undone by whoever learns of it.
func settle(tx tx, row locked, attemptID string, o outcome, got answer) error {
	a := attemptOf(row.Payment, attemptID)
	if a == nil {
		return fmt.Errorf("payment %s has no attempt %s", row.ID, attemptID)
	}
	if from := outcome(a.Outcome); !from.open() || from == o {
		return nil
	}
	a.Outcome, a.DeclineCode = string(o), got.declineCode
	if o.open() {
		tx.Defer("UPDATE attempt SET outcome = $2 WHERE id = $1", a.ID, a.Outcome)
		return updatePayment(tx, row)
	}
	tx.Defer("UPDATE attempt SET outcome = $2, decline_code = $3, next_time = NULL WHERE id = $1", a.ID, a.Outcome, a.DeclineCode)
	row.DeclineCode = got.declineCode
	if kind(a.Kind) == authorize {
		row.ChargeID = got.chargeID
	}
	if row.Cancellation == string(cancelRequested) && kind(a.Kind).refuses(o, got.declineCode) {
		row.Cancellation = string(cancelRefused)
	}
	writeLedger(tx, row.Payment, a)
	if err := updatePayment(tx, row); err != nil {
		return err
	}
	if row.Cancellation == string(cancelRequested) {
		_, err := beginCancel(tx, row)
		return err
	}
	return nil
}

// beginCancel returns what comes next for a locked payment that is cancelled: an attempt, or nil if there is nothing to do.
func beginCancel(tx tx, row locked) (*ent.Attempt, error) {
	a, found := paymentOf(row.Payment).toCancel()
	if !found {
		return nil, nil
	}
	return begin(tx, row, a)
}

// updatePayment stores what follows from the attempts, and what was changed in the row.
func updatePayment(tx tx, row locked) error {
	p := paymentOf(row.Payment)
	from, next := state(row.State), p.state()
	if next != from && !from.canBecome(next) {
		return fmt.Errorf("payment %s is %s and cannot become %s", row.ID, from, next)
	}
	row.State, row.Captured, row.Refunded = string(next), p.sum(capture, succeeded), p.sum(refund, succeeded)
	row.UpdateTime = row.now
	tx.Defer(`UPDATE payment SET state = $2, captured = $3, refunded = $4, charge_id = $5, decline_code = $6, cancellation = $7,
		update_time = now() WHERE id = $1`, row.ID, row.State, row.Captured, row.Refunded, row.ChargeID, row.DeclineCode, row.Cancellation)
	return nil
}

// attemptOf returns an attempt of a payment, or nil.
func attemptOf(row *ent.Payment, attemptID string) *ent.Attempt {
	for _, a := range row.Edges.Attempts {
		if a.ID == attemptID {
			return a
		}
	}
	return nil
}

// paymentOf maps a payment with its attempts to what the rules know of it.
func paymentOf(row *ent.Payment) payment {
	p := payment{amount: row.Amount, cancellation: cancellation(row.Cancellation)}
	for _, a := range row.Edges.Attempts {
		p.attempts = append(p.attempts, attempt{id: a.ID, kind: kind(a.Kind), amount: a.Amount, outcome: outcome(a.Outcome)})
	}
	return p
}

// message maps a payment.
func message(row *ent.Payment) *paymentsv1.Payment {
	return &paymentsv1.Payment{
		Id: row.ID, Reference: row.Reference, State: messageStates[state(row.State)],
		Amount: money(row.Amount, row.Currency), Captured: money(row.Captured, row.Currency), Refunded: money(row.Refunded, row.Currency),
		DeclineCode: row.DeclineCode, CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime),
	}
}

func money(amount int64, currency string) *typev1.Money {
	return &typev1.Money{Amount: amount, Currency: currency}
}
