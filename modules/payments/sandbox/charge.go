package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/id"
)

// The words of the tables. An operation that did not succeed has the reason as its outcome.
const (
	authorize = "authorize"
	capture   = "capture"
	void      = "void"
	refund    = "refund"

	chargeAuthorized = "authorized"
	chargeCaptured   = "captured"
	chargeVoided     = "voided"
	chargeDeclined   = "declined"

	succeeded = "succeeded"
)

// call is one request that moves money.
type call struct {
	key  string
	kind string
	// authorization is what to authorize; the other kinds name a charge.
	authorization Authorization
	chargeID      string
	// amount is what to refund.
	amount int64
}

// charge is a row of sandbox_charge.
type charge struct {
	id            string
	authorization Authorization
	status        string
	captured      int64
	refunded      int64
}

// operation is a row of sandbox_operation.
type operation struct {
	kind, chargeID string
	amount         int64
	outcome        string
}

// errSilence says that the script wants no answer.
var errSilence = errors.New("no answer, as the payment method says")

var (
	errKeyReused = failure{http.StatusConflict, CodeKeyReused, "the key was used for another request"}
	errNoCharge  = failure{http.StatusNotFound, CodeNoSuchCharge, "there is no such charge"}
	errNoKey     = failure{http.StatusNotFound, CodeNoSuchKey, "nothing was done under this key"}
)

// serve does what a call asks for, once per key, and plays the script of the payment method around it.
func (s *Server) serve(ctx context.Context, c call) (Answer, error) {
	if got, done, err := s.atOnce(ctx, c); done || err != nil {
		return got, err
	}
	got, script, err := s.once(ctx, c, false)
	if err == nil && script.delay > 0 {
		if err := pause(ctx, script.delay); err != nil {
			return Answer{}, err
		}
		got, _, err = s.once(ctx, c, true)
	}
	return got, err
}

// once is one transaction of two round trips: it reads what is there under the locks of the key and the charge, and then writes all
// that follows, with the commit. A call that has yet to wait for its script's delay writes nothing.
func (s *Server) once(ctx context.Context, c call, waited bool) (Answer, script, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return Answer{}, script{}, fmt.Errorf("acquire a connection: %w", err)
	}
	defer conn.Release() // A connection that is still in its transaction is closed, which rolls it back.
	repeated, first, row, err := look(ctx, conn.Conn(), c)
	if err != nil {
		return Answer{}, script{}, err
	}
	writes := &pgx.Batch{}
	got, script, err := c.follow(repeated, first, row, writes)
	if err != nil || script.delay > 0 && !waited {
		if _, rollback := conn.Exec(ctx, "ROLLBACK"); rollback != nil && err == nil {
			err = rollback
		}
		return Answer{}, script, err
	}
	writes.Queue("COMMIT")
	if err := conn.SendBatch(ctx, writes).Close(); err != nil {
		return Answer{}, script, fmt.Errorf("write and commit: %w", err)
	}
	if first == nil && (script.losesAnswer || script.losesRequest && !repeated) {
		return Answer{}, script, errSilence
	}
	return got, script, nil
}

// look begins a transaction and reads whether the key was used before, what was done under it, and the charge.
func look(ctx context.Context, conn *pgx.Conn, c call) (repeated bool, first *operation, row *charge, err error) {
	batch := &pgx.Batch{}
	batch.Queue("BEGIN")
	// Calls with the same key go one after the other, also before the first has left a row.
	batch.Queue("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "sandbox "+c.key)
	batch.Queue("SELECT EXISTS (SELECT FROM sandbox_request WHERE key = $1)", c.key).QueryRow(func(r pgx.Row) error { return r.Scan(&repeated) })
	batch.Queue("SELECT kind, charge_id, amount, outcome FROM sandbox_operation WHERE key = $1", c.key).QueryRow(func(r pgx.Row) error {
		var o operation
		err := r.Scan(&o.kind, &o.chargeID, &o.amount, &o.outcome)
		if err == nil {
			first = &o
		}
		return present(err)
	})
	batch.Queue(`SELECT id, reference, payment_method, amount, currency, status, captured, refunded FROM sandbox_charge
		WHERE id = coalesce((SELECT charge_id FROM sandbox_operation WHERE key = $1), $2) FOR UPDATE`, c.key, c.chargeID).QueryRow(func(r pgx.Row) error {
		var row2 charge
		a := &row2.authorization
		err := r.Scan(&row2.id, &a.Reference, &a.PaymentMethod, &a.Amount, &a.Currency, &row2.status, &row2.captured, &row2.refunded)
		if err == nil {
			row = &row2
		}
		return present(err)
	})
	if err := conn.SendBatch(ctx, batch).Close(); err != nil {
		return false, nil, nil, fmt.Errorf("look the key up: %w", err)
	}
	return repeated, first, row, nil
}

// present takes it well that there is no row.
func present(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}

// follow decides what comes of a call and queues what is to be written. First is what was done under the key already, if anything,
// row the charge. It is an error if nothing shall be written.
func (c call) follow(repeated bool, first *operation, row *charge, writes *pgx.Batch) (Answer, script, error) {
	asked := c.authorization
	if c.kind != authorize {
		if row == nil {
			return Answer{}, script{}, errNoCharge
		}
		asked = row.authorization
	}
	script := scriptOf(asked.PaymentMethod)
	if script.down {
		return Answer{}, script, errSilence
	}
	writes.Queue("INSERT INTO sandbox_request (key, kind) VALUES ($1, $2)", c.key, c.kind)
	if first != nil {
		if c != first.call(c.key, row) {
			return Answer{}, script, errKeyReused
		}
		return first.answer(), script, nil
	}
	if script.losesRequest && !repeated {
		return Answer{}, script, nil
	}
	done := operation{kind: c.kind, chargeID: c.chargeID, amount: asked.Amount, outcome: succeeded}
	if c.kind == refund {
		done.amount = c.amount
	}
	switch {
	case c.kind == authorize:
		done.chargeID = id.New("sbx")
		status := chargeAuthorized
		if script.declineCode != "" {
			status, done.outcome = chargeDeclined, script.declineCode
		}
		writes.Queue("INSERT INTO sandbox_charge (id, reference, payment_method, status, amount, currency) VALUES ($1, $2, $3, $4, $5, $6)",
			done.chargeID, asked.Reference, asked.PaymentMethod, status, asked.Amount, asked.Currency)
	case c.kind == refund && (row.status != chargeCaptured || c.amount > row.captured-row.refunded):
		done.outcome = "refund_exceeds_capture"
	case c.kind == refund:
		writes.Queue("UPDATE sandbox_charge SET refunded = refunded + $2 WHERE id = $1", row.id, c.amount)
	case row.status != chargeAuthorized:
		done.outcome = "charge_not_authorized"
	case c.kind == capture:
		writes.Queue("UPDATE sandbox_charge SET status = $2, captured = amount WHERE id = $1", row.id, chargeCaptured)
	case c.kind == void:
		writes.Queue("UPDATE sandbox_charge SET status = $2 WHERE id = $1", row.id, chargeVoided)
	}
	writes.Queue("INSERT INTO sandbox_operation (key, kind, charge_id, amount, outcome) VALUES ($1, $2, $3, $4, $5)",
		c.key, done.kind, done.chargeID, done.amount, done.outcome)
	return done.answer(), script, nil
}

// call returns what the operation was asked for.
func (o operation) call(key string, row *charge) call {
	asked := call{key: key, kind: o.kind, chargeID: o.chargeID}
	switch {
	case o.kind == authorize && row != nil:
		asked.authorization, asked.chargeID = row.authorization, ""
	case o.kind == refund:
		asked.amount = o.amount
	}
	return asked
}

// answer returns what the operation is answered with.
func (o operation) answer() Answer {
	if o.outcome == succeeded {
		return Answer{ChargeID: o.chargeID}
	}
	return Answer{ChargeID: o.chargeID, DeclineCode: o.outcome}
}

// lookup returns what came of a key.
func (s *Server) lookup(ctx context.Context, key string) (Answer, error) {
	var o operation
	err := s.pool.QueryRow(ctx, "SELECT kind, charge_id, amount, outcome FROM sandbox_operation WHERE key = $1", key).
		Scan(&o.kind, &o.chargeID, &o.amount, &o.outcome)
	if errors.Is(err, pgx.ErrNoRows) {
		return Answer{}, errNoKey
	}
	return o.answer(), err
}

// list returns the charges whose ids come after one.
func (s *Server) list(ctx context.Context, after string, limit int) (Page, error) {
	rows, err := s.pool.Query(ctx, `SELECT id, reference, currency, amount, CASE status WHEN 'declined' THEN 0 ELSE amount END, captured, refunded,
			status = 'voided', create_time, coalesce((
				SELECT json_agg(json_build_object('key', key, 'kind', kind, 'amount', o.amount, 'outcome', outcome, 'requests',
					(SELECT count(*) FROM sandbox_request r WHERE r.key = o.key)) ORDER BY create_time, key)
				FROM (SELECT * FROM sandbox_operation WHERE charge_id = c.id ORDER BY create_time, key LIMIT $3) o), '[]')
		FROM sandbox_charge c WHERE id > $1 ORDER BY id LIMIT $2`, after, limit, MaxPage)
	if err != nil {
		return Page{}, err
	}
	charges, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Charge])
	return Page{Charges: charges}, err
}
