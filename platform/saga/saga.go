// Package saga does work that takes several steps in several places, where no transaction reaches: each step has a Do and an Undo, and
// either every step is done or all are undone, whatever is killed meanwhile.
//
// A step runs outside of any transaction and calls others under one key, <saga id>/<step>, the same for Do and Undo. What it learned,
// where the saga is then, and the module's own rows are written in one transaction: the boundary. Nothing is written before a step
// begins, so a step may be run again, and an Undo may come before its Do or without it. Whoever is called must therefore carry out a
// key once, and refuse the Do of a key that was undone: platform/idempotency does both.
//
// The process that starts a saga drives it straight through, under a lease on the database's time that it renews. A process that is
// killed loses its leases after [leaseTime]; a sweep of any replica takes them, with a higher fence, and every boundary requires the
// fence: what a driver writes late that has lost its lease is refused.
//
// It owns order, retries, recovery and the timeline. It does not own what the steps do, nor what a saga means to its module.
package saga

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/saga/internal/course"
)

// Definition is a kind of saga with a state of type S, which is kept as JSON.
type Definition[S any] struct {
	// Kind names it within its module.
	Kind string
	// Steps are what a saga does that begins now. It keeps them, by name, so a new release may add steps anywhere: those that have begun
	// go on with theirs, and a process of the release before leaves alone what it does not know. A step that is to go away must stay as
	// long as there are sagas that have it: nobody drives or undoes those otherwise.
	Steps []Step[S]
	// Boundary writes the module's own rows, in the transaction in which the saga moves on. The saga is locked before. It may be run
	// again, as any function of a transaction, also for a saga that does not move as it says. An error undoes all: the step is run again,
	// and if that does not help for about half a minute, the saga is stuck. It may be nil.
	Boundary func(ctx context.Context, tx pgx.Tx, c Change[S]) error
}

// Step is one step of a saga. Do and Undo run outside of any transaction, perhaps more than once, at last by two processes at a time
// of which one is refused its boundary. A nil function has nothing to do.
//
// nil leads on. [Refuse], and an error of a call that does not pass by itself, turns the saga back; [Wait] asks again later; [Stuck]
// needs a person; every other error passes, and the step is tried again with growing pauses. An Undo is tried until it succeeds, or
// is stuck.
type Step[S any] struct {
	Name     string
	Do, Undo func(ctx context.Context, r *Run[S]) error
	// Quiet says that nobody outside of the module's schema is told when the step is done, so that its boundary need not wait for the
	// disk: if the database crashes at once, the step is done again.
	Quiet bool
}

// Run is one run of a step.
type Run[S any] struct {
	// ID is the saga's.
	ID string
	// Key is what the step calls others with: the same at every attempt, and for Do and Undo.
	Key string
	// State may be changed. It is kept also when the step fails, but not when it panics.
	State S
}

// What has happened at a boundary.
type What string

// The words are those of the timeline.
const (
	Did        What = "did"         // The step was done.
	Undid      What = "undid"       // The step was undone.
	Waiting    What = "waiting"     // The step does not know its outcome yet.
	Failed     What = "failed"      // The step failed, and is tried again.
	TurnedBack What = "turned back" // The step was refused, or somebody wanted the saga undone.
	GotStuck   What = "stuck"       // A person has to look at it.
	Resumed    What = "resumed"     // A person has.
)

// Change is what has happened to a saga, at a boundary.
type Change[S any] struct {
	ID string
	// State is empty if the saga got stuck because it cannot be read.
	State S
	Step  string
	What  What
	// Note is the reason of what did not succeed.
	Note string
	// Reason is why the saga goes back; empty while it goes forward.
	Reason string
	// Done and Undone say that the saga has ended.
	Done, Undone bool
}

// Refuse turns the saga back because of a reason for machines, such as CARD_DECLINED.
func Refuse(reason string) error { return course.Verdict{Outcome: course.Refused, Reason: reason} }

// Wait says that the outcome is not known yet: the step is run again after a pause, under the same key.
func Wait(reason string) error { return course.Verdict{Outcome: course.Waiting, Reason: reason} }

// Stuck leaves the saga to a person, who resumes it when the cause is removed.
func Stuck(reason string) error { return course.Verdict{Outcome: course.GaveUp, Reason: reason} }

// Points returns the names of all places at which a test can stop a saga of the kind (see platform/fault): around every Do and Undo,
// before it begins, when it has ended but nobody knows, and when that is written down.
func Points(kind string, steps ...string) []string {
	var names []string
	for _, step := range steps {
		for _, undo := range []bool{false, true} {
			for _, moment := range []string{"begin", "done", "persisted"} {
				names = append(names, point(kind, step, undo, moment))
			}
		}
	}
	return names
}

func point(kind, step string, undo bool, moment string) string {
	if undo {
		moment = "undo-" + moment
	}
	return kind + "/" + step + "/" + moment
}

// Saga starts and turns back sagas of one kind.
type Saga[S any] struct {
	client *Client
	kind   string
}

// Register makes a kind of saga known. It must be called before the jobs start, so that sagas are found whose process was killed.
func Register[S any](c *Client, d Definition[S]) *Saga[S] {
	k := &kind{name: d.Kind}
	steps := map[string]Step[S]{}
	for _, s := range d.Steps {
		steps[s.Name] = s
		k.steps = append(k.steps, course.Step{Name: s.Name, Quiet: s.Quiet})
	}
	k.run = func(ctx context.Context, id string, before state, name string, undo bool) (state, error) {
		step := steps[name]
		fn := step.Do
		if undo {
			fn = step.Undo
		}
		if fn == nil {
			return before, nil
		}
		r := &Run[S]{ID: id, Key: id + "/" + step.Name}
		// Whatever this process still knows, a step gets what is kept: no more than after a kill.
		if err := json.Unmarshal(before.encoded, &r.State); err != nil {
			return before, Stuck(fmt.Sprintf("its state cannot be read: %v", err))
		}
		err := fn(ctx, r)
		changed, encodeErr := json.Marshal(r.State)
		if encodeErr != nil {
			return before, Stuck(fmt.Sprintf("its state cannot be written: %v", encodeErr))
		}
		return state{changed, r.State}, err
	}
	k.boundary = func(ctx context.Context, tx pgx.Tx, c Change[state]) error {
		if d.Boundary == nil {
			return nil
		}
		typed := Change[S]{ID: c.ID, Step: c.Step, What: c.What, Note: c.Note, Reason: c.Reason, Done: c.Done, Undone: c.Undone}
		var known bool
		if typed.State, known = c.State.decoded.(S); !known {
			if err := json.Unmarshal(c.State.encoded, &typed.State); err != nil {
				if c.What != GotStuck {
					return err
				}
				typed.State = *new(S) // That may be why.
			}
		}
		return d.Boundary(ctx, tx, typed)
	}
	if _, taken := c.kinds[d.Kind]; taken || len(steps) == 0 || len(steps) < len(d.Steps) {
		panic(fmt.Sprintf("saga %s has no steps or two of the same name, or is registered twice", d.Kind))
	}
	c.kinds[d.Kind] = k
	return &Saga[S]{client: c, kind: d.Kind}
}

// Start begins a saga in the transaction. This process drives it as soon as that has committed; if it is killed, another one does.
func (s *Saga[S]) Start(ctx context.Context, tx pgx.Tx, id string, state S) error {
	encoded, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("start saga %s: %w", id, err)
	}
	s.client.start(ctx, tx, s.kind, id, encoded, course.Record{Steps: s.client.kinds[s.kind].steps, Phase: course.Forward})
	return nil
}

// StartUndone begins a saga that has been done but whose record is not kept any more, in order to undo it.
func (s *Saga[S]) StartUndone(ctx context.Context, tx pgx.Tx, id string, state S, reason string) error {
	encoded, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("start saga %s: %w", id, err)
	}
	r := course.Record{Steps: s.client.kinds[s.kind].steps, Phase: course.Done}
	s.client.start(ctx, tx, s.kind, id, encoded, r.Turned(reason))
	return nil
}

// ErrUnknown says that there is no such saga, or not any more.
var ErrUnknown = errors.New("no such saga")

// Cancel turns a saga back wherever it is, also when it is done, in the transaction; the caller writes down what that means to the
// module. It locks the saga until the end of the transaction. A step under way ends, and its boundary finds the wish. A saga that is
// undone stays as it is. It fails with [ErrUnknown] if the saga is not kept.
func (s *Saga[S]) Cancel(ctx context.Context, tx pgx.Tx, id, reason string) error {
	return s.client.cancel(ctx, tx, id, reason)
}
