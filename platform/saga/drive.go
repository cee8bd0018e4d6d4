package saga

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga/internal/course"
)

const (
	// quick is how often a step that fails for a passing reason is run again at once, and quickPause how long apart; the pause doubles.
	quick      = 4
	quickPause = 50 * time.Millisecond
	// minPause and maxPause bound the pause before a step is tried again by whoever finds it due.
	minPause = 500 * time.Millisecond
	maxPause = 15 * time.Second
	// writes is how often a boundary is tried before the saga is left to the sweep, and maxUnwritten how often in a row that may be because
	// its module cannot write its own rows: over half a minute, with the pauses. Then it is stuck.
	writes       = 5
	maxUnwritten = 8
	// maxNote bounds what a timeline keeps of an error, in bytes.
	maxNote = 1000
)

// errLost says that somebody else has taken the saga.
var errLost = errors.New("another process has taken the saga over")

// drive takes a saga from step to step until it ends, waits, or is somebody else's.
func (c *Client) drive(ctx context.Context, r *row, l *lease) {
	log := c.log.With("saga", r.id, "kind", r.kind)
	k := c.kinds[r.kind]
	for failures := 0; ; {
		if r.wish != "" { // Its last driver did not live to find it. The guard of the next boundary still has it.
			r.Record = r.Turned(r.wish)
		}
		a, more := r.Next()
		if !more {
			return
		}
		if c.stopping.Err() != nil {
			c.release(ctx, r)
			return
		}
		name := r.Steps[a.Step].Name
		began := time.Now()
		fault.Point(point(r.kind, name, a.Undo, "begin"))
		traced, span := startStep(ctx, r, a)
		after, err := c.run(traced, k, r, a)
		fault.Point(point(r.kind, name, a.Undo, "done"))
		r.state = after
		o, note := course.Judge(err)
		note = clip(note)
		outcome := o.Word(a.Undo, false)
		c.durations.WithLabelValues(r.kind, name, outcome).Observe(time.Since(began).Seconds())
		span.SetAttributes(attrOutcome.String(outcome))
		if o == course.Failed || o == course.Refused && a.Undo {
			log.WarnContext(traced, "step failed", "step", name, "undo", a.Undo, "error", err)
			rpc.EndSpan(span, err)
			if failures++; failures <= quick && c.sleep(l, rand.N(quickPause<<failures)) {
				continue
			}
		}
		failures = 0
		e := entry{step: name, what: What(outcome), attempt: r.Attempt + 1, duration: time.Since(began), note: note}
		goesOn, err := c.persist(traced, k, r, o, e)
		rpc.EndSpan(span, err)
		if err != nil {
			// Whoever finds the saga due, at the latest when the lease ends, runs the step again.
			log.WarnContext(traced, "saga is left to whoever comes upon it", "step", name, "error", err)
			return
		}
		fault.Point(point(r.kind, name, a.Undo, "persisted"))
		if !goesOn {
			return
		}
	}
}

// sleep waits, and reports whether it did to the end: not if somebody wants the saga undone, or the process stops.
func (c *Client) sleep(l *lease, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-l.nudged:
	case <-c.stopping.Done():
	}
	return false
}

// run runs a step. A panic is an error that passes, as far as anybody knows.
func (c *Client) run(ctx context.Context, k *kind, r *row, a course.Action) (after state, err error) {
	name := r.Steps[a.Step].Name
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			c.log.ErrorContext(ctx, "step panicked", "saga", r.id, "step", name, "panic", p, "stack", string(debug.Stack()))
			after, err = r.state, fmt.Errorf("panic: %v", p)
		}
	}()
	return k.run(ctx, r.id, r.state, name, a.Undo)
}

// pauseAfter is how long to wait before a step is run again that has failed so often.
func pauseAfter(attempt int) time.Duration {
	longest := min(minPause<<min(attempt-1, 10), maxPause)
	return longest/2 + rand.N(longest/2)
}

// persist writes a boundary, and reports whether this process drives the saga on.
func (c *Client) persist(ctx context.Context, k *kind, r *row, o course.Outcome, e entry) (goesOn bool, err error) {
	// A step that has ended is written down also when the process is about to.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	for try := 1; ; try++ {
		goesOn, err = c.boundary(ctx, k, r, o, e)
		if err == nil || errors.Is(err, errLost) {
			return goesOn, err
		}
		if try == writes {
			return false, errors.Join(err, c.shelve(ctx, r, e, err))
		}
		select {
		case <-time.After(rand.N(quickPause << try)):
		case <-c.stopping.Done():
			return false, err
		}
	}
}

// boundary writes what has become of a saga and what that means to its module, in one transaction. Where the guard does not let it, it
// looks why: lost for good, written already by a commit whose answer was lost, or wished undone.
func (c *Client) boundary(ctx context.Context, k *kind, r *row, o course.Outcome, e entry) (goesOn bool, err error) {
	var now row
	transaction := c.db.Tx
	if r.MayBeLost(o) {
		transaction = c.db.TxMayBeLost
	}
	err = transaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		now = *r
		e := e // It may be run again.
		now.Record, now.unwritten = r.After(o, e.note), 0
		write := func() (bool, error) {
			var pause *time.Duration
			_, more := now.Next()
			goesOn = more && now.Attempt == 0
			if more && !goesOn {
				wait := pauseAfter(now.Attempt)
				pause = &wait
			}
			return c.move(ctx, tx, &now, goesOn, pause, e)
		}
		wrote, err := write()
		if err != nil {
			return err
		}
		if !wrote {
			kept, _, err := c.lock(ctx, tx, r.id)
			switch {
			case err != nil:
				return err
			case kept.fence != r.fence:
				return errLost
			case kept.number != r.number:
				now = *kept
				_, more := now.Next()
				goesOn = more && now.Attempt == 0
				return nil
			}
			now.wish, now.Record = kept.wish, now.Turned(kept.wish)
			e.what = What(o.Word(r.Phase == course.Back, true))
			e.note = strings.TrimPrefix(e.note+"; turned back: "+kept.wish, "; ")
			if wrote, err = write(); err != nil || !wrote {
				return errors.Join(errors.New("a locked saga was changed"), err)
			}
		}
		now.wish = ""
		now.kept = now.state.encoded
		now.number++
		change := Change[state]{
			ID: r.id, State: now.state, Step: e.step, What: e.what, Note: e.note, Reason: now.Reason,
			Done: now.Phase == course.Done, Undone: now.Phase == course.Undone,
		}
		if err := c.tell(ctx, tx, k, change); err != nil {
			return fmt.Errorf("boundary of saga %s: %w", r.id, err)
		}
		return nil
	})
	if err == nil {
		*r = now
	}
	return goesOn, err
}

// tell lets the module write its own rows. A panic is an error of the boundary.
func (c *Client) tell(ctx context.Context, tx pgx.Tx, k *kind, change Change[state]) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.ErrorContext(ctx, "boundary panicked", "saga", change.ID, "step", change.Step, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return k.boundary(ctx, tx, change)
}

// shelve writes down that a boundary could not be written, and nothing of what it was to write. The step is run again after a pause;
// after [maxUnwritten] times in a row a person has to look. It fails if the database is at fault, and does nothing if the guard does not
// let it: then the lease ends, or the saga is somebody else's.
func (c *Client) shelve(ctx context.Context, r *row, e entry, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
	defer cancel()
	next, o, pause := *r, course.Failed, pauseAfter(r.Attempt+1)
	rest := &pause
	if next.unwritten++; next.unwritten == maxUnwritten {
		o, rest = course.GaveUp, nil
	}
	next.Record, next.state = r.After(o, ""), state{} // The state may be what cannot be written.
	e.note = clip(fmt.Sprintf("%s, but the boundary fails: %v", e.what, cause))
	e.what = What(o.Word(false, false))
	return c.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := c.move(ctx, tx, &next, false, rest, e)
		return err
	})
}

// clip makes a note of a text that somebody else wrote: not too long, and without what PostgreSQL does not take.
func clip(text string) string {
	note := strings.ReplaceAll(strings.ToValidUTF8(text[:min(len(text), maxNote)], ""), "\x00", "")
	if len(text) > maxNote {
		note += " ..."
	}
	return note
}

// release lets another process take the saga on at once, or lets it rest if nothing is left to do.
func (c *Client) release(ctx context.Context, r *row) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
	defer cancel()
	_, more := r.Next()
	_, err := c.db.Pool().Exec(ctx, `UPDATE cleave_saga SET leased = false, due = CASE WHEN $3 THEN now() END WHERE id = $1 AND fence = $2`, r.id, r.fence, more)
	if err != nil {
		c.log.WarnContext(ctx, "a lease could not be given back: it ends by itself", "saga", r.id, "error", err)
	}
}
