package db

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxDeferred bounds the statements that wait for the next one: who has more of them writes many rows with one statement.
const maxDeferred = 1000

// Defer adds a statement to the transaction that nobody waits for. It costs no round trip: it is sent along with the next
// statement of the transaction, or with COMMIT. Statements always run in the order in which the code has them, so a later read finds
// what a deferred write did. If the server refuses it, that fails whatever it was sent with, and the transaction for good, even if the
// function of the transaction hides the error. The arguments must not be changed before the transaction ends, and the statement must not create what the next one names,
// because both are prepared before either runs.
//
// Whoever wants the result before the transaction has ended, but not at once, gives the statement that is returned a function, as in a
// pgx.Batch. What is read with COMMIT is worth something only when the transaction has committed: see [AfterCommit]. The function must not
// fail for what it reads, such as no row: COMMIT may have been carried out by then, in which case [DB.Tx] says so and what waits for the
// commit runs. A statement that shall undo the transaction fails on the server.
//
// It panics if tx is not from [DB.Tx] or [Store.Tx]: nobody would send the statement.
func Defer(tx pgx.Tx, sql string, args ...any) *pgx.QueuedQuery {
	d, ok := tx.(interface {
		Defer(sql string, args ...any) *pgx.QueuedQuery
	})
	if !ok {
		panic(fmt.Sprintf("db.Defer in a %T: open the transaction with Store.Tx or DB.Tx", tx))
	}
	return d.Defer(sql, args...)
}

type transactionKey struct{}

// AfterCommit lets fn run as soon as the transaction of ctx has committed; not if it was rolled back, and once however often it was
// tried. It is for what can be missed, like a nudge, because it is lost with the process, and if nobody knows whether the transaction was
// committed. fn runs on the goroutine of Tx before that returns: it must be quick and not block.
//
// It panics outside of a transaction: give it the context that the function of Tx was given.
func AfterCommit(ctx context.Context, fn func()) {
	t, ok := ctx.Value(transactionKey{}).(*transaction)
	if !ok || t.done {
		panic("db.AfterCommit outside of a transaction: use the context of the function in Store.Tx")
	}
	t.after = append(t.after, fn)
}

// ErrAgain has a transaction run again whose function asked for the [FirstTry].
var ErrAgain = errors.New("the transaction is to be run again")

// FirstTry reports whether the transaction of ctx runs for the first time. Its function may then hope for the best: it need not wait
// for a statement which tells that somebody was faster, if a constraint would be violated in that case. If a constraint is, or if
// the function fails with [ErrAgain], the transaction is run again, and FirstTry is false.
func FirstTry(ctx context.Context) bool {
	t, ok := ctx.Value(transactionKey{}).(*transaction)
	if !ok || !t.first {
		return false
	}
	t.hoped = true
	return true
}

// transaction is a transaction that waits as seldom as it can: BEGIN goes with the first statement, deferred statements go with the
// next one, or with COMMIT. If all of them are deferred they go alone. Without a statement nothing is sent at all.
type transaction struct {
	conn *pgxpool.Conn
	// queue is sent before the next statement: BEGIN at first, then what is deferred.
	queue []*pgx.QueuedQuery
	// begun says that BEGIN was carried out.
	begun bool
	// err is why some of a queue was not carried out, which would be missing from what is committed.
	err  error
	done bool
	// committed says that COMMIT was carried out, even if a result that came before it could not be read.
	committed bool
	// first says that the function runs for the first time, and hoped that it makes use of that.
	first, hoped bool
	savepoints   int
	after        []func()
}

var _ pgx.Tx = (*transaction)(nil)

func begin(ctx context.Context, pool *pgxpool.Pool) (*transaction, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &transaction{conn: conn, queue: []*pgx.QueuedQuery{{SQL: "begin"}}}, nil
}

// Defer is [Defer].
func (t *transaction) Defer(sql string, args ...any) *pgx.QueuedQuery {
	statement := &pgx.QueuedQuery{SQL: sql, Arguments: args}
	switch {
	case t.err != nil:
	case t.done:
		t.err = pgx.ErrTxClosed
	case len(t.queue) > maxDeferred:
		t.err = fmt.Errorf("more than %d deferred statements: write many rows with one statement", maxDeferred)
	default:
		t.queue = append(t.queue, statement)
	}
	return statement
}

// ready reports why nothing more can be done in the transaction.
func (t *transaction) ready() error {
	if t.done {
		return pgx.ErrTxClosed
	}
	return t.err
}

// SendBatch sends what is queued and the batch in one round trip.
func (t *transaction) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := t.ready(); err != nil {
		return pgx.FailedBatchResults(b, err)
	}
	if len(t.queue) == 0 {
		return t.conn.SendBatch(ctx, b)
	}
	queue := t.queue
	t.queue = nil
	results := t.conn.SendBatch(ctx, &pgx.Batch{QueuedQueries: slices.Concat(queue, b.QueuedQueries)})
	for _, statement := range queue {
		if err := carryOut(statement, results); err != nil {
			_ = results.Close() // The same error.
			t.err = fmt.Errorf("%s: %w", statement.SQL, err)
			return pgx.FailedBatchResults(b, t.err)
		}
		t.begun = true
	}
	return results
}

// carryOut reads the result of a statement that was queued.
func carryOut(statement *pgx.QueuedQuery, results pgx.BatchResults) error {
	if statement.Fn != nil {
		return statement.Fn(results)
	}
	_, err := results.Exec()
	return err
}

// flush sends what is queued by itself.
func (t *transaction) flush(ctx context.Context) error {
	if len(t.queue) == 0 {
		return t.ready()
	}
	return t.SendBatch(ctx, &pgx.Batch{}).Close()
}

// alone reports whether the next statement is sent alone because nothing is queued. If pgx cannot have the statement in a batch it
// sends what is queued first.
func (t *transaction) alone(ctx context.Context, batchable bool) (bool, error) {
	if !batchable {
		if err := t.flush(ctx); err != nil {
			return false, err
		}
	}
	return len(t.queue) == 0, t.ready()
}

// batchable reports whether pgx can have a statement with these arguments in a batch, where it knows no options.
func batchable(args []any) bool {
	if len(args) == 0 {
		return true
	}
	switch args[0].(type) {
	case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID:
		return false
	}
	return true
}

// batch returns a batch of one statement.
func batch(sql string, args []any) *pgx.Batch {
	return &pgx.Batch{QueuedQueries: []*pgx.QueuedQuery{{SQL: sql, Arguments: args}}}
}

func (t *transaction) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	// Without arguments the text may be several statements, which cannot be in a batch.
	alone, err := t.alone(ctx, len(args) > 0 && batchable(args))
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	if alone {
		return t.conn.Exec(ctx, sql, args...)
	}
	return t.execQueued(ctx, sql, args)
}

// execQueued is Exec after what is queued, in the same round trip.
func (t *transaction) execQueued(ctx context.Context, sql string, args []any) (pgconn.CommandTag, error) {
	results := t.SendBatch(ctx, batch(sql, args))
	tag, err := results.Exec()
	return tag, first(err, results.Close())
}

func (t *transaction) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	alone, err := t.alone(ctx, batchable(args))
	if err != nil {
		return pgx.FailedBatchResults(batch(sql, args), err).Query()
	}
	if alone {
		return t.conn.Query(ctx, sql, args...)
	}
	results := t.SendBatch(ctx, batch(sql, args))
	got, err := results.Query()
	if err != nil {
		_ = results.Close() // The same error.
	}
	return &rows{Rows: got, results: results}, err
}

func (t *transaction) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	alone, err := t.alone(ctx, batchable(args))
	if err != nil {
		return pgx.FailedBatchResults(batch(sql, args), err).QueryRow()
	}
	if alone {
		return t.conn.QueryRow(ctx, sql, args...)
	}
	results := t.SendBatch(ctx, batch(sql, args))
	return row{results.QueryRow(), results}
}

func (t *transaction) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, source pgx.CopyFromSource) (int64, error) {
	if err := t.flush(ctx); err != nil {
		return 0, err
	}
	return t.conn.CopyFrom(ctx, table, columns, source)
}

func (t *transaction) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	return t.conn.Conn().Prepare(ctx, name, sql)
}

// LargeObjects panics: a large object belongs to no schema, so no module can own one.
func (t *transaction) LargeObjects() pgx.LargeObjects {
	panic("large objects belong to no module: keep the data in a bytea column")
}

// Conn returns the connection, for its configuration. A statement that is given to it passes by the transaction.
func (t *transaction) Conn() *pgx.Conn { return t.conn.Conn() }

// Commit sends what is queued and COMMIT in one round trip.
func (t *transaction) Commit(ctx context.Context) error {
	if err := t.ready(); err != nil {
		return err
	}
	if !t.begun {
		return t.commitAtOnce(ctx)
	}
	var tag pgconn.CommandTag
	var err error
	if len(t.queue) == 0 {
		tag, err = t.conn.Exec(ctx, "commit")
	} else {
		tag, err = t.execQueued(ctx, "commit", nil)
	}
	if err != nil && t.committedWith(err) {
		t.done, t.committed = true, true
		return fmt.Errorf("carried out, but a result could not be read: %w", err)
	}
	if err != nil {
		return err
	}
	t.done = true
	if tag.String() == "ROLLBACK" { // What a statement that failed before makes of it.
		return pgx.ErrTxCommitRollback
	}
	t.committed = true
	return nil
}

// commitAtOnce sends what is queued without BEGIN and COMMIT, because PostgreSQL makes one transaction of what comes in one go.
func (t *transaction) commitAtOnce(ctx context.Context) error {
	queue := t.queue[1:]
	t.queue = nil
	if len(queue) == 0 {
		t.done = true
		return nil
	}
	sent := t.conn.SendBatch(ctx, &pgx.Batch{QueuedQueries: queue})
	results := lenient{sent, t.conn.Conn().TypeMap()}
	var failed error
	for _, statement := range queue {
		if err := carryOut(statement, results); err != nil {
			failed = first(failed, fmt.Errorf("%s: %w", statement.SQL, err))
		}
	}
	switch err := sent.Close(); {
	case err != nil && errors.Is(failed, err):
		return failed // The same error, with its statement.
	case err != nil:
		return err
	}
	t.done, t.committed = true, true
	if failed != nil {
		return fmt.Errorf("carried out, but a result could not be read: %w", failed)
	}
	return nil
}

// committedWith reports whether COMMIT was carried out though it has the error: one of a function that reads a result, not the server's,
// and the transaction that had begun is over.
func (t *transaction) committedWith(err error) bool {
	conn := t.conn.Conn()
	return t.begun && !errors.As(err, new(*pgconn.PgError)) && !conn.IsClosed() && conn.PgConn().TxStatus() == 'I'
}

// Rollback undoes everything. After Commit it does nothing.
func (t *transaction) Rollback(ctx context.Context) error {
	if t.done {
		return pgx.ErrTxClosed
	}
	t.done = true
	// What is queued is forgotten. A batch that failed before it reached the server has begun nothing.
	if conn := t.conn.Conn(); conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
		return nil
	}
	_, err := t.conn.Exec(ctx, "rollback")
	return err
}

// end gives the connection back, with nothing left of the transaction. The context may be done by now; the connection shall be usable
// again all the same. One that cannot roll back is closed.
func (t *transaction) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	_ = t.Rollback(ctx)
	t.conn.Release() // It closes a connection that is still in a transaction.
}

// Begin makes a savepoint.
func (t *transaction) Begin(ctx context.Context) (pgx.Tx, error) {
	t.savepoints++
	s := &savepoint{transaction: t, name: fmt.Sprintf("sp_%d", t.savepoints)}
	if _, err := t.Exec(ctx, "savepoint "+s.name); err != nil {
		return nil, err
	}
	return s, nil
}

// savepoint is the part of a transaction since a savepoint.
type savepoint struct {
	*transaction
	name  string
	ended bool
}

func (s *savepoint) Commit(ctx context.Context) error {
	return s.finish(ctx, "release savepoint "+s.name)
}

func (s *savepoint) Rollback(ctx context.Context) error {
	if !s.ended {
		s.queue = nil // All of it came after the savepoint.
	}
	return s.finish(ctx, "rollback to savepoint "+s.name)
}

func (s *savepoint) finish(ctx context.Context, sql string) error {
	if s.ended {
		return pgx.ErrTxClosed
	}
	s.ended = true
	_, err := s.Exec(ctx, sql)
	return err
}

// rows are the rows of the last statement of a batch. Closing them ends the batch.
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
	r.err = first(r.Rows.Err(), r.results.Close())
}

func (r *rows) Err() error { return first(r.Rows.Err(), r.err) }

// row is the row of the last statement of a batch. Reading it ends the batch.
type row struct {
	pgx.Row
	results pgx.BatchResults
}

func (r row) Scan(dest ...any) error {
	return first(r.Row.Scan(dest...), r.results.Close())
}

// first returns the first error.
func first(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
