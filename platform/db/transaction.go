package db

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxDeferred is after how many deferred statements they are sent without waiting for another.
const maxDeferred = 100

// Defer adds a statement to tx whose result nobody reads. In a transaction of [DB.Tx] it is sent along with the next statement, or with
// COMMIT, so it costs no round trip; in any other it is executed at once. The order of statements is always that of the code. An error
// of it is that of the statement with which it was sent, and nothing of the transaction can be committed any more.
//
// The statement must not create what the next one names, because both are prepared before either runs. Its arguments must not change
// until the transaction ends.
func Defer(ctx context.Context, tx pgx.Tx, sql string, args ...any) error {
	if d, ok := tx.(deferrer); ok {
		return d.deferStatement(ctx, sql, args)
	}
	_, err := tx.Exec(ctx, sql, args...)
	return err
}

// deferrer is a transaction that can wait with a statement.
type deferrer interface {
	deferStatement(ctx context.Context, sql string, args []any) error
}

func (t Tx[C]) deferStatement(ctx context.Context, sql string, args []any) error {
	return Defer(ctx, t.Tx, sql, args...)
}

// transaction takes a connection when it has something to send. BEGIN travels with the first statement, deferred ones with the next or
// with COMMIT.
type transaction struct {
	pool *pgxpool.Pool
	// conn and begun are nil before the first statement.
	conn  *pgxpool.Conn
	begun pgx.Tx
	queue []*pgx.QueuedQuery
	// failed is why BEGIN or a deferred statement was not carried out. PostgreSQL may know nothing of it, so it is remembered here that
	// no statement may follow.
	failed error
	done   bool
}

var _ pgx.Tx = (*transaction)(nil)

func (t *transaction) deferStatement(ctx context.Context, sql string, args []any) error {
	if err := t.usable(); err != nil {
		return err
	}
	t.queue = append(t.queue, &pgx.QueuedQuery{SQL: sql, Arguments: args})
	if len(t.queue) < maxDeferred {
		return nil
	}
	return t.flush(ctx)
}

func (t *transaction) usable() error {
	if t.done {
		return pgx.ErrTxClosed
	}
	if t.failed != nil {
		return fmt.Errorf("an earlier statement of the transaction failed: %w", t.failed)
	}
	return nil
}

// clear reports whether a statement can be sent by itself: the transaction has begun, and nothing waits.
func (t *transaction) clear() bool { return t.begun != nil && len(t.queue) == 0 }

// send sends in one round trip BEGIN, if it has not been sent, what waits, and the statements. It returns the results of the latter.
func (t *transaction) send(ctx context.Context, statements ...*pgx.QueuedQuery) (pgx.BatchResults, error) {
	if err := t.usable(); err != nil {
		return nil, err
	}
	var b pgx.Batch
	if t.begun == nil {
		if t.conn, t.failed = t.pool.Acquire(ctx); t.failed != nil {
			return nil, t.failed
		}
		b.BeginTx(pgx.TxOptions{})
	}
	b.QueuedQueries = append(append(b.QueuedQueries, t.queue...), statements...)
	t.queue = nil
	results := t.conn.SendBatch(ctx, &b)
	if t.begun == nil {
		t.begun = results.Tx()
	}
	for range b.Len() - len(statements) {
		if _, err := results.Exec(); err != nil {
			_ = results.Close() // The same error.
			t.failed = err
			return nil, err
		}
	}
	return results, nil
}

// flush sends what waits, for what cannot be sent along with it.
func (t *transaction) flush(ctx context.Context) error {
	if t.clear() {
		return t.usable()
	}
	results, err := t.send(ctx)
	if err != nil {
		return err
	}
	t.failed = results.Close()
	return t.failed
}

// flushBefore flushes if a statement with these arguments cannot be part of a batch, because it has an option that pgx does not know
// there.
func (t *transaction) flushBefore(ctx context.Context, args []any) error {
	if len(args) > 0 {
		switch args[0].(type) {
		case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID:
			return t.flush(ctx)
		}
	}
	return t.usable()
}

func (t *transaction) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	err := t.flushBefore(ctx, args)
	if len(args) == 0 {
		err = t.flush(ctx) // It may be several statements, which a batch does not take as one.
	}
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	if t.clear() {
		return t.begun.Exec(ctx, sql, args...)
	}
	results, err := t.send(ctx, &pgx.QueuedQuery{SQL: sql, Arguments: args})
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := results.Exec()
	return tag, cmp.Or(err, results.Close())
}

func (t *transaction) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.flushBefore(ctx, args); err != nil {
		return pgx.FailedBatchResults(&pgx.Batch{}, err).Query()
	}
	if t.clear() {
		return t.begun.Query(ctx, sql, args...)
	}
	results, err := t.send(ctx, &pgx.QueuedQuery{SQL: sql, Arguments: args})
	if err != nil {
		return pgx.FailedBatchResults(&pgx.Batch{}, err).Query()
	}
	list, err := results.Query()
	if err != nil {
		_ = results.Close() // The same error.
		return list, err
	}
	return &rows{Rows: list, results: results}, nil
}

func (t *transaction) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	list, _ := t.Query(ctx, sql, args...) // The rows have the error.
	return row{list}
}

func (t *transaction) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := t.usable(); err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	if t.clear() {
		return t.begun.SendBatch(ctx, b)
	}
	results, err := t.send(ctx, b.QueuedQueries...)
	if err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	return results
}

func (t *transaction) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, from pgx.CopyFromSource) (int64, error) {
	if err := t.flush(ctx); err != nil {
		return 0, err
	}
	return t.begun.CopyFrom(ctx, table, columns, from)
}

func (t *transaction) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	return t.begun.Prepare(ctx, name, sql)
}

// Begin sets a savepoint. In the transaction that it returns nothing is deferred.
func (t *transaction) Begin(ctx context.Context) (pgx.Tx, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	return t.begun.Begin(ctx)
}

// Conn returns nil: what is sent over the connection itself would overtake BEGIN and what is deferred.
func (t *transaction) Conn() *pgx.Conn { return nil }

// LargeObjects panics: they belong to no schema, and so to no module.
func (t *transaction) LargeObjects() pgx.LargeObjects {
	panic("large objects belong to no schema: keep the bytes in a column")
}

func (t *transaction) Commit(ctx context.Context) error {
	if err := t.usable(); err != nil {
		return err
	}
	if t.begun == nil && len(t.queue) == 0 {
		t.done = true
		return nil
	}
	if t.clear() {
		t.done = true
		return t.begun.Commit(ctx)
	}
	results, err := t.send(ctx, &pgx.QueuedQuery{SQL: "commit"})
	t.done = true
	if err != nil {
		return err
	}
	tag, err := results.Exec()
	if err := cmp.Or(err, results.Close()); err != nil {
		return err
	}
	if tag.String() != "COMMIT" {
		return pgx.ErrTxCommitRollback
	}
	return nil
}

func (t *transaction) Rollback(ctx context.Context) error {
	if t.done {
		return pgx.ErrTxClosed
	}
	t.done = true
	if t.begun == nil {
		return nil
	}
	return t.begun.Rollback(ctx)
}

// end rolls back what was not committed and gives the connection back.
func (t *transaction) end(ctx context.Context) {
	t.done = true
	if t.conn == nil {
		return
	}
	if conn := t.conn.Conn(); !conn.IsClosed() && conn.PgConn().TxStatus() != 'I' {
		_ = t.begun.Rollback(ctx) // A connection that cannot roll back is closed.
	}
	t.conn.Release()
}

// rows are those of the last statement of a batch, which ends with them.
type rows struct {
	pgx.Rows
	results pgx.BatchResults
	err     error
}

func (r *rows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

func (r *rows) Scan(dest ...any) error {
	err := r.Rows.Scan(dest...)
	if err != nil {
		r.Close() // As pgx does.
	}
	return err
}

func (r *rows) Close() {
	r.Rows.Close()
	r.err = r.results.Close()
}

func (r *rows) Err() error { return cmp.Or(r.Rows.Err(), r.err) }

// row is the first of rows.
type row struct{ pgx.Rows }

func (r row) Scan(dest ...any) error {
	defer r.Close()
	if !r.Next() {
		return cmp.Or(r.Err(), pgx.ErrNoRows)
	}
	if err := r.Rows.Scan(dest...); err != nil {
		return err
	}
	r.Close()
	return r.Err()
}
