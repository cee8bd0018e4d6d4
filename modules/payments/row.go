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

// insertPayment writes a new payment down, and the attempt to authorize it.
func insertPayment(tx tx, row *ent.Payment) *begun {
	first := paymentOf(row).toAuthorize()
	written := &begun{Attempt: newAttempt(row, first)}
	tx.Defer(`WITH new AS (
				INSERT INTO payment (id, reference, state, amount, currency, payment_method, caller, request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
				RETURNING create_time, update_time, xmin AS version
			), first AS (INSERT INTO attempt (id, payment_id, kind, amount, outcome, next_time) VALUES ($9, $1, $10, $4, $11, now() + $12::interval))
		SELECT create_time, update_time, version FROM new`,
		row.ID, row.Reference, row.State, row.Amount, row.Currency, row.PaymentMethod, row.Caller, row.RequestID,
		written.ID, written.Kind, written.Outcome, askAgainAfter).QueryRow(func(got pgx.Row) error {
		return got.Scan(&row.CreateTime, &row.UpdateTime, &written.version)
	})
	return written
}

// beginCapture writes a capture down without looking at the payment first: it fails the transaction by a constraint if that is not
// authorized and nothing else, in which case somebody has to look. What it returns is known with the commit.
//
// That no attempt is open it sees as of the beginning of the statement. So it does nothing if the payment's row, which changes with its
// attempts, has another version by then.
func beginCapture(tx tx, paymentID string) *begun {
	row := &ent.Payment{ID: paymentID, State: string(capturing)}
	written := &begun{Attempt: newAttempt(row, attempt{kind: capture, outcome: pending})}
	tx.Defer(`WITH seen AS MATERIALIZED (SELECT xmin AS version FROM payment WHERE id = $1),
			moved AS (
				UPDATE payment SET state = 'capturing', update_time = now() FROM seen
				WHERE id = $1 AND xmin = seen.version AND state = 'authorized' AND cancellation = ''
					AND NOT EXISTS (SELECT FROM attempt WHERE payment_id = $1 AND outcome IN ('pending', 'unanswered'))
				RETURNING id, reference, amount, currency, payment_method, charge_id, decline_code, create_time, update_time, xmin AS version
			), capture AS (
				INSERT INTO attempt (id, payment_id, kind, amount, outcome, next_time)
				VALUES ($2, (SELECT id FROM moved), $3, (SELECT amount FROM moved), $4, now() + $5::interval))
		SELECT m.reference, m.amount, m.currency, m.payment_method, m.charge_id, m.decline_code, m.create_time, m.update_time, m.version,
			a.id, a.kind, a.amount, a.outcome, a.decline_code
		FROM moved m JOIN attempt a ON a.payment_id = m.id ORDER BY a.id`,
		paymentID, written.ID, written.Kind, written.Outcome, askAgainAfter).Query(func(rows pgx.Rows) error {
		var a ent.Attempt
		var earlier []*ent.Attempt
		_, err := pgx.ForEachRow(rows, []any{
			&row.Reference, &row.Amount, &row.Currency, &row.PaymentMethod, &row.ChargeID, &row.DeclineCode, &row.CreateTime, &row.UpdateTime, &written.version,
			&a.ID, &a.Kind, &a.Amount, &a.Outcome, &a.DeclineCode,
		}, func() error {
			one := a
			earlier = append(earlier, &one)
			return nil
		})
		written.Amount = row.Amount
		row.Edges.Attempts = append(earlier, written.Attempt)
		return err
	})
	return written
}

// isTaken reports whether a payment was not written down because there is one of the same request id.
func isTaken(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.ConstraintName == "payment_caller_request_id"
}

// begin returns an attempt of a locked payment: the row of one that is written down already, or a new one, which it writes down. Its id
// is also the provider's key. The sweep sees it through unless it is settled before.
func begin(tx tx, row locked, a attempt) (*begun, error) {
	if written := attemptOf(row.Payment, a.id); written != nil {
		return &begun{Attempt: written}, nil
	}
	written := newAttempt(row.Payment, a)
	tx.Defer("INSERT INTO attempt (id, payment_id, kind, amount, outcome, next_time) VALUES ($1, $2, $3, $4, $5, now() + $6::interval)",
		written.ID, row.ID, written.Kind, written.Amount, written.Outcome, askAgainAfter)
	return &begun{Attempt: written}, updatePayment(tx, row)
}

// newAttempt adds a new attempt to a payment.
func newAttempt(row *ent.Payment, a attempt) *ent.Attempt {
	added := &ent.Attempt{
		ID: id.New("att"), PaymentID: row.ID, Kind: string(a.kind), Amount: a.amount, Outcome: string(a.outcome),
		Edges: ent.AttemptEdges{Payment: row},
	}
	row.Edges.Attempts = append(row.Edges.Attempts, added)
	return added
}

// errTouched says that a payment has changed since an attempt was written down.
var errTouched = errors.New("the payment has changed meanwhile")

// settleUntouched is settle by one statement and without a lock, for a payment whose row still has the version that came with the attempt.
// If it has not, nothing is stored, the error is errTouched, and the rows of the attempt are worth nothing any more.
func (s *service) settleUntouched(ctx context.Context, a *begun, o outcome, got answer) (*ent.Payment, error) {
	row := a.Edges.Payment
	learn(row, a.Attempt, o, got)
	if err := advance(row); err != nil {
		return nil, err
	}
	statement := `WITH moved AS (
			UPDATE payment SET state = $3, captured = $4, charge_id = $5, decline_code = $6, update_time = now() WHERE id = $1 AND xmin = $2
			RETURNING update_time
		), settled AS (UPDATE attempt SET outcome = $8, decline_code = $6, next_time = NULL FROM moved WHERE id = $7)`
	args := []any{row.ID, a.version, row.State, row.Captured, row.ChargeID, row.DeclineCode, a.ID, a.Outcome}
	if kind(a.Kind) == capture && o == succeeded {
		statement += `, booked AS (INSERT INTO ledger_entry (attempt_id, account, amount, currency)
			SELECT $7, account, amount, $12 FROM moved, (VALUES ($9, $11::bigint), ($10, -$11::bigint)) AS entry (account, amount))`
		args = append(args, receivable, credited(row), a.Amount, row.Currency)
	}
	err := s.store.Pool().QueryRow(ctx, statement+" SELECT update_time FROM moved", args...).Scan(&row.UpdateTime)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errTouched
	}
	if err != nil {
		return nil, fmt.Errorf("store what came of attempt %s: %w", a.ID, err)
	}
	return row, nil
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
	learn(row.Payment, a, o, got)
	if o.open() {
		tx.Defer("UPDATE attempt SET outcome = $2 WHERE id = $1", a.ID, a.Outcome)
		return updatePayment(tx, row)
	}
	tx.Defer("UPDATE attempt SET outcome = $2, decline_code = $3, next_time = NULL WHERE id = $1", a.ID, a.Outcome, a.DeclineCode)
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

// learn notes what came of an attempt, in the rows that are in memory.
func learn(row *ent.Payment, a *ent.Attempt, o outcome, got answer) {
	a.Outcome, a.DeclineCode = string(o), got.declineCode
	if o.open() {
		return
	}
	row.DeclineCode = got.declineCode
	if kind(a.Kind) == authorize {
		row.ChargeID = got.chargeID
	}
	if row.Cancellation == string(cancelRequested) && kind(a.Kind).refuses(o, got.declineCode) {
		row.Cancellation = string(cancelRefused)
	}
}

// beginCancel returns what comes next for a locked payment that is cancelled: an attempt, or nil if there is nothing to do.
func beginCancel(tx tx, row locked) (*begun, error) {
	a, found := paymentOf(row.Payment).toCancel()
	if !found {
		return nil, nil
	}
	return begin(tx, row, a)
}

// advance brings a payment to where its attempts say that it is.
func advance(row *ent.Payment) error {
	p := paymentOf(row)
	from, next := state(row.State), p.state()
	if next != from && !from.canBecome(next) {
		return fmt.Errorf("payment %s is %s and cannot become %s", row.ID, from, next)
	}
	row.State, row.Captured, row.Refunded = string(next), p.sum(capture, succeeded), p.sum(refund, succeeded)
	return nil
}

// updatePayment stores what follows from the attempts, and what was changed in the row.
func updatePayment(tx tx, row locked) error {
	if err := advance(row.Payment); err != nil {
		return err
	}
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
