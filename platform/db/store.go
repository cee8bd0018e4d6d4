package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"connectrpc.com/connect"
	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cleave-go/cleave/platform/rpc"
)

// maxAttempts is how often a transaction is tried that PostgreSQL gave up for the sake of another.
const maxAttempts = 5

// Store is a module's database with the ent client C of the module.
type Store[C any] struct {
	*DB
	client func(dialect.Driver) C
	// Ent reads outside of a transaction.
	Ent C
}

// NewStore joins a database and the ent client that newClient makes.
func NewStore[C any](db *DB, newClient func(dialect.Driver) C) *Store[C] {
	return &Store[C]{DB: db, client: newClient, Ent: newClient(entDriver{db.pool})}
}

// Tx is a transaction: rows through Ent, the rest through pgx.
type Tx[C any] struct {
	pgx.Tx
	Ent C
}

// Defer is [Defer] in this transaction.
func (t Tx[C]) Defer(sql string, args ...any) *pgx.QueuedQuery { return Defer(t.Tx, sql, args...) }

// Tx is [DB.Tx] with the module's ent client.
func (s *Store[C]) Tx(ctx context.Context, fn func(ctx context.Context, tx Tx[C]) error) error {
	return s.DB.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, s.In(tx)) })
}

// In joins a transaction of the module that somebody else opened and will commit, like the delivery of an event.
func (s *Store[C]) In(tx pgx.Tx) Tx[C] { return Tx[C]{Tx: tx, Ent: s.client(entDriver{tx})} }

// Tx runs fn in a transaction (READ COMMITTED) and commits it, or rolls back if fn fails. When PostgreSQL gave the transaction up
// for the sake of another (deadlock, serialization), or was the [FirstTry] in vain, it runs fn again, so fn must leave no trace outside
// of tx but by [AfterCommit].
// Calls over the seam with the context of fn are refused.
//
// BEGIN is sent along with the first statement, and what is deferred (see [Defer]) along with a later one or COMMIT. If every statement is
// deferred, they are sent in one go without the two. Without a statement nothing is sent.
//
// A database that cannot be reached is an unavailable error. If that happened while committing, nobody knows whether it was
// committed: callers repeat with the same request_id.
func (d *DB) Tx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		tx, err := d.once(ctx, fn, attempt == 1)
		if err == nil || tx != nil && tx.committed {
			for _, fn := range tx.after {
				fn()
			}
			return err
		}
		if tx != nil && tx.hoped && inVain(err) {
			continue
		}
		if attempt == maxAttempts || !givenUp(err) {
			d.note(err)
			return Unavailable(err)
		}
		select {
		case <-time.After(rand.N(time.Duration(attempt) * 10 * time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// once tries a transaction, which is nil if it could not begin.
func (d *DB) once(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error, first bool) (*transaction, error) {
	tx, err := begin(ctx, d.pool)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer tx.end(ctx)
	tx.first = first
	inner := context.WithValue(rpc.RefuseCalls(ctx, "it is inside a database transaction"), transactionKey{}, tx)
	if err := fn(inner, tx); err != nil {
		return tx, err
	}
	if err := tx.Commit(ctx); err != nil {
		return tx, fmt.Errorf("commit: %w", err)
	}
	return tx, nil
}

// inVain reports whether an error is one that a transaction can owe to having hoped for the best.
func inVain(err error) bool {
	var pgErr *pgconn.PgError
	// Class 23: a constraint.
	return errors.Is(err, ErrAgain) || errors.As(err, &pgErr) && pgErr.Code[:2] == "23"
}

// TxMayBeLost is [DB.Tx] without the wait until the commit is on disk, which costs most of a small transaction. Everybody sees at once
// what it wrote. But if PostgreSQL or its machine crashes within the next moments (up to three times wal_writer_delay, so 0.6 s by
// default) the transaction is gone as a whole, as if it had never been. A crash of this process loses nothing. What a transaction of
// [DB.Tx] on the same server commits later cannot survive without it.
//
// It is for notes of progress whose loss makes somebody repeat an idempotent step, like a boundary of a saga. It must not be used where
// somebody else is told of what it wrote: an answer to a client, a request id that is claimed, an event that is published, an id that
// another module or a provider gets to know and that only this transaction keeps. They would know of what never was.
func (d *DB) TxMayBeLost(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return d.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		Defer(tx, "SELECT set_config('synchronous_commit', 'off', true)") // SET LOCAL warns where there is no BEGIN.
		return nil
	})
}

// givenUp reports whether the same transaction may succeed if it is run again.
func givenUp(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == "40001" || pgErr.Code == "40P01")
}

// Unavailable makes an unavailable error of one that says that the database cannot be reached or is going down, an invalid_argument
// error of one about a text that PostgreSQL cannot keep, and returns others as they are.
func Unavailable(err error) error {
	if err == nil {
		return nil
	}
	var connectErr *connect.Error
	if errors.As(err, &connectErr) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var pgErr *pgconn.PgError
	var dialErr *pgconn.ConnectError
	down := false
	switch {
	case errors.As(err, &pgErr) && (pgErr.Code == "22021" || pgErr.Code == "22P05"):
		return fmt.Errorf("%w: %w", rpc.Errorf(connect.CodeInvalidArgument, rpc.ReasonZeroByte, "a text has a zero byte, which cannot be kept"), err)
	case errors.As(err, &pgErr):
		// Class 57P: shutting down or starting up; 53: out of connections, memory or disk; 08: connection lost; 25006: a standby.
		down = pgErr.Code[:2] == "53" || pgErr.Code[:2] == "08" || pgErr.Code[:3] == "57P" || pgErr.Code == "25006"
	case errors.As(err, &dialErr):
		down = true
	default:
		down = isConnectionLoss(err)
	}
	if !down {
		return err
	}
	// Callers get the first of the two, the log gets both.
	return fmt.Errorf("%w: %w", connect.NewError(connect.CodeUnavailable, errors.New("the database is unavailable")), err)
}
