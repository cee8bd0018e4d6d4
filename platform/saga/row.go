package saga

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga/internal/course"
)

// row is a saga as it is kept.
type row struct {
	course.Record
	id, kind string
	state    state
	kept     []byte // the state that is in the table, as it was written, if that is known
	wish     string // why somebody wants it undone, until a boundary finds it
	number   int64  // of entries in the timeline, and so the version of the row
	fence    int64
	origin   []byte // on whose behalf it is driven
	// unwritten is how often in a row the module could not write its boundary.
	unwritten int
	// foreign says that only another release knows all of its steps, or its kind: this process must not drive it.
	foreign bool
}

const columns = "id, kind, state, phase, position, reason, wish, attempt, stuck, number, fence, unwritten, steps, origin"

func (c *Client) scan(rows pgx.Row) (*row, error) {
	var r row
	var names []string
	err := rows.Scan(&r.id, &r.kind, &r.state.encoded, &r.Phase, &r.Position, &r.Reason, &r.wish, &r.Attempt, &r.Stuck, &r.number, &r.fence, &r.unwritten, &names, &r.origin)
	var known bool
	r.Steps, known = c.kinds[r.kind].called(names)
	r.foreign = !known
	return &r, err
}

// start inserts a saga that this process drives when the transaction has committed.
func (c *Client) start(ctx context.Context, tx pgx.Tx, kind, id string, encoded []byte, rec course.Record) {
	origin := rpc.Origin(ctx)
	db.Defer(tx, `INSERT INTO cleave_saga (id, kind, state, phase, position, reason, leased, due, driver, steps, origin)
		VALUES ($1, $2, $3, $4, $5, $6, true, now() + $7::interval, $8, $9, $10)`,
		id, kind, encoded, rec.Phase, rec.Position, rec.Reason, leaseTime, c.driver, stepNames(rec.Steps), origin)
	c.afterCommit(ctx, &row{Record: rec, id: id, kind: kind, state: state{encoded: encoded}, kept: encoded, fence: 1, origin: origin})
}

// lock locks a saga and reports whether nobody drives it.
func (c *Client) lock(ctx context.Context, tx pgx.Tx, id string) (r *row, free bool, err error) {
	// The lease is read first, by name, because scan takes the columns of a row.
	err = tx.QueryRow(ctx, "SELECT NOT leased OR due <= now() FROM cleave_saga WHERE id = $1 FOR UPDATE", id).Scan(&free)
	if err == nil {
		r, err = c.scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM cleave_saga WHERE id = $1", id))
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, false, ErrUnknown
	}
	return r, free, err
}

func (c *Client) cancel(ctx context.Context, tx pgx.Tx, id, reason string) error {
	r, free, err := c.lock(ctx, tx, id)
	if err != nil {
		return err
	}
	if r.Phase == course.Undone {
		return nil
	}
	if !free { // Its driver finds the wish at the next boundary.
		_, err := tx.Exec(ctx, "UPDATE cleave_saga SET wish = $2 WHERE id = $1", id, reason)
		c.nudgeAfterCommit(ctx, id)
		return err
	}
	if r.foreign { // Who takes it finds the wish at once.
		_, err := tx.Exec(ctx, "UPDATE cleave_saga SET wish = $2, due = now() WHERE id = $1", id, reason)
		return err
	}
	r.Record = r.Turned(reason)
	return c.take(ctx, tx, r, entry{what: TurnedBack, note: reason})
}

// resume gets a saga going at once that waits or is stuck, and reports whether it was one.
func (c *Client) resume(ctx context.Context, tx pgx.Tx, id, note string) (bool, error) {
	r, free, err := c.lock(ctx, tx, id)
	if err != nil || !free || r.Phase == course.Done || r.Phase == course.Undone {
		return false, err
	}
	if r.foreign {
		return false, rpc.Errorf(connect.CodeFailedPrecondition, "SAGA_FOREIGN",
			"saga %s has a step that this release does not know: resume it with the release that began it", id)
	}
	r.Stuck, r.Attempt = false, 0
	if r.wish != "" { // Its last driver did not live to find it.
		r.Record = r.Turned(r.wish)
		note = strings.TrimPrefix(note+"; turned back: "+r.wish, "; ")
	}
	return true, c.take(ctx, tx, r, entry{what: Resumed, note: note})
}

// take writes down what a locked saga has become, takes the lease, and drives it after the commit.
func (c *Client) take(ctx context.Context, tx pgx.Tx, r *row, e entry) error {
	r.wish, r.unwritten = "", 0
	r.fence++
	_, err := tx.Exec(ctx, `WITH moved AS (
			UPDATE cleave_saga SET phase = $2, position = $3, reason = $4, attempt = $5, stuck = $6, wish = '', number = number + 1, unwritten = 0,
				fence = $7, leased = true, due = now() + $8::interval, driver = $11, update_time = now(), progress_time = now()
			WHERE id = $1 RETURNING number
		) INSERT INTO cleave_saga_step (saga_id, number, step, what, attempt, duration, note) SELECT $1, number, '', $9, 0, '0', $10 FROM moved`,
		r.id, r.Phase, r.Position, r.Reason, r.Attempt, r.Stuck, r.fence, leaseTime, e.what, e.note, c.driver)
	if err != nil {
		return fmt.Errorf("take saga %s: %w", r.id, err)
	}
	r.number++
	c.afterCommit(ctx, r)
	return nil
}

// entry is one of a timeline.
type entry struct {
	step     string
	what     What
	attempt  int
	duration time.Duration
	note     string
}

// guard is what a driver's write requires: that nobody has taken the saga from it, that it has not written this already (its commit may
// have gone through though it failed), and that nobody has wished the saga undone.
const guard = "fence = $2 AND number = $3 AND wish = $4"

// replaces reports whether an entry takes the place of the one before it, which is of an attempt at the same step, too. All attempts but
// the first, the second, the fourth and so on do: a timeline stays short however long a saga cannot get on, and ends with the latest.
func (e entry) replaces() bool {
	return (e.what == Waiting || e.what == Failed) && bits.OnesCount(uint(e.attempt)) > 1
}

// move writes where a saga is now and one entry of its timeline, by one statement. It reports whether the guard let it. While the saga
// goes on its lease is left alone, which spares the index; otherwise it is due after the pause, or rests if there is none.
//
// The first time it does not wait for that, but has the transaction fail, and run again, if the guard did not let it.
func (c *Client) move(ctx context.Context, tx pgx.Tx, now *row, goesOn bool, pause *time.Duration, e entry) (bool, error) {
	condition := guard
	if c.noFence {
		condition = "(" + guard + " OR true)"
	}
	hopes := db.FirstTry(ctx)
	from := "moved"
	if hopes { // One row in any case: without a number, which the timeline refuses, if nothing was moved.
		from = "(SELECT max(number) AS number FROM moved) AS moved"
	}
	kept, unless := "", ""
	if e.replaces() {
		kept = `, kept AS (
			UPDATE cleave_saga_step AS s SET number = moved.number, step = $13, what = $14, attempt = $15, duration = $16, note = $17, time = clock_timestamp()
			FROM moved WHERE s.saga_id = $1 AND s.number = moved.number - 1 RETURNING s.number
		)`
		unless = " WHERE NOT EXISTS (SELECT FROM kept)"
	}
	statement := `WITH moved AS (
			UPDATE cleave_saga SET state = coalesce($5, state), phase = $6, position = $7, reason = $8, attempt = $9, stuck = $10, wish = '', number = number + 1,
				leased = $11, due = CASE WHEN $11 THEN due ELSE now() + $12::interval END, unwritten = $18,
				update_time = now(), progress_time = CASE WHEN $9 = 0 AND NOT $10 THEN now() ELSE progress_time END
			WHERE id = $1 AND ` + condition + ` RETURNING number
		)` + kept + ` INSERT INTO cleave_saga_step (saga_id, number, step, what, attempt, duration, note) SELECT $1, number, $13, $14, $15, $16, $17 FROM ` + from + unless
	var changed []byte // Without it the state is left alone, which spares writing it anew.
	if !bytes.Equal(now.state.encoded, now.kept) {
		changed = now.state.encoded
	}
	args := []any{
		now.id, now.fence, now.number, now.wish, changed, now.Phase, now.Position, now.Reason, now.Attempt, now.Stuck,
		goesOn, pause, e.step, e.what, e.attempt, e.duration, e.note, now.unwritten,
	}
	if hopes {
		db.Defer(tx, statement, args...)
		return true, nil
	}
	tag, err := tx.Exec(ctx, statement, args...)
	return tag.RowsAffected() == 1, err
}
