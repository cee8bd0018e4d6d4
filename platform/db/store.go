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

// In joins a transaction that somebody else has opened, and commits or rolls back: for handlers that use ent within it.
func (s *Store[C]) In(tx pgx.Tx) Tx[C] {
	return Tx[C]{Tx: tx, Ent: s.client(entDriver{tx})}
}

// Tx runs fn in a transaction as [DB.Tx] does.
func (s *Store[C]) Tx(ctx context.Context, fn func(ctx context.Context, tx Tx[C]) error) error {
	return s.DB.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, s.In(tx)) })
}

// Tx runs fn in a transaction (READ COMMITTED) and commits it, or rolls back if fn fails. When PostgreSQL gave the transaction up
// for the sake of another (deadlock, serialization) it runs fn again, so fn must leave no trace outside of tx but by [AfterCommit].
// Calls over the seam with the context of fn are refused.
//
// BEGIN is sent along with the first statement, and what is left of deferred ones (see [Defer]) along with COMMIT. Without a statement
// nothing is sent.
//
// A database that cannot be reached is an unavailable error. If that happened while committing, nobody knows whether it was
// committed: callers repeat with the same request_id.
func (d *DB) Tx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		var after committed
		err := d.once(context.WithValue(ctx, committedKey{}, &after), fn)
		if err == nil {
			after.run()
			return nil
		}
		if attempt == maxAttempts || !givenUp(err) {
			return Unavailable(err)
		}
		select {
		case <-time.After(rand.N(time.Duration(attempt) * 10 * time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *DB) once(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	tx := &transaction{pool: d.pool}
	// The context may be done by the end, the connection shall be usable again all the same.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		tx.end(ctx)
	}()
	if err := fn(rpc.RefuseCalls(ctx, "it is inside a database transaction"), tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
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
