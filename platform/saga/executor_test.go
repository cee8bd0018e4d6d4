package saga_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/saga"
)

// fenced runs the same with the guard of the boundaries and without it: what must not happen does not happen, and would.
func fenced(t *testing.T, run func(t *testing.T, process func(*bench) *process) (wrong []string)) {
	t.Run("guarded", func(t *testing.T) {
		t.Parallel()
		for _, wrong := range run(t, (*bench).process) {
			t.Error(wrong)
		}
	})
	t.Run("with the bug saga-no-fence", func(t *testing.T) {
		t.Parallel()
		wrong := run(t, func(b *bench) *process {
			p := b.process()
			p.NoFence()
			return p
		})
		if len(wrong) == 0 {
			t.Error("nothing is wrong without the guard: the test would not notice that it is missing")
		}
	})
}

// A driver that was away for longer than its lease comes back with what it knew when the saga has ended: it is refused.
func TestZombieIsRefused(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{"done": nil, "refused": saga.Refuse("TOO_LATE"), "failed": errBroken, "stuck": saga.Stuck("late"), "waiting": saga.Wait("late")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fenced(t, func(t *testing.T, process func(*bench) *process) []string {
				b := setup(t)
				first, second := process(b), process(b)
				reached, release := make(chan bool), make(chan bool)
				var times atomic.Int32
				b.when("trip", func(m moment) error {
					if m.step == "hotel" && m.holding && times.Add(1) == 1 {
						close(reached)
						<-release
						return answer
					}
					return nil
				})
				b.start(first, "trip")
				<-reached
				// While it lives its lease is renewed when it has lasted a while, and nobody takes the saga.
				b.Exec(t, "UPDATE trips.cleave_saga SET due = now() + interval '2 seconds'")
				first.Age(time.Second)
				if err := errors.Join(first.Renew(t.Context()), second.Recover(t.Context())); err != nil {
					t.Fatal(err)
				}
				if !moduletest.Value[bool](t, b.House, "SELECT due > now() + interval '3 seconds' FROM trips.cleave_saga") {
					t.Error("a lease that has lasted a while was not renewed")
				}
				if fence := moduletest.Value[int64](t, b.House, "SELECT fence FROM trips.cleave_saga"); fence != 1 {
					t.Errorf("a leased saga was taken: its fence is %d", fence)
				}
				b.expire(second, "trip")
				b.wait()
				close(release)
				first.rest(t)
				return b.wrong("trip", "done")
			})
		})
	}
}

// Two processes that drive the same saga at the same time are in the same step, there or back, and end it at the same moment: one of
// them is refused.
func TestTwoExecutorsOfOneSaga(t *testing.T) {
	t.Parallel()
	fenced(t, func(t *testing.T, process func(*bench) *process) (wrong []string) {
		for _, undo := range []bool{false, true} {
			for _, step := range steps {
				b := setup(t)
				first, second := process(b), process(b)
				reached, release := make(chan bool), make(chan bool)
				b.when("trip", func(m moment) error {
					if m.step == step && m.undo == undo && m.holding {
						select {
						case reached <- true:
							<-release
						case <-release: // Without the guard there is a third time.
						}
					}
					if undo && m.step == "tour" && !m.undo {
						return saga.Refuse("NO_SEAT")
					}
					return nil
				})
				b.start(first, "trip")
				<-reached
				b.expire(second, "trip")
				<-reached
				close(release)
				first.rest(t)
				second.rest(t)
				for _, w := range b.wrong("trip", map[bool]string{false: "done", true: "undone"}[undo]) {
					wrong = append(wrong, fmt.Sprint(step, " ", undo, ": ", w))
				}
			}
		}
		return wrong
	})
}

// The Do of a driver that was away arrives when another one has undone the step already: whoever is called refuses it, and so does the
// saga. If the called one forgot what was undone, it would be booked for nobody.
func TestUndoBeforeDo(t *testing.T) {
	t.Parallel()
	for _, forgetful := range []bool{false, true} {
		for _, step := range steps {
			t.Run(fmt.Sprint(step, " forgetful ", forgetful), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.forgetful = forgetful
				first, second := b.process(), b.process()
				reached, release := make(chan bool), make(chan bool)
				var once sync.Once
				b.when("trip", func(m moment) error {
					if m.step == step && !m.undo && !m.holding {
						once.Do(func() {
							close(reached)
							<-release
						})
					}
					return nil
				})
				b.start(first, "trip")
				<-reached
				b.wish(second, "trip")
				b.expire(second, "trip")
				b.wait()
				b.ends("trip", "undone")
				close(release)
				first.rest(t)
				if wrong := b.wrong("trip", "undone"); (len(wrong) > 0) != forgetful {
					t.Errorf("wrong is %q", wrong)
				}
			})
		}
	}
}

// A step has done its work, there or back, and its answer is lost: it is asked again under the same key, which does nothing twice.
func TestLostReply(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	for _, undo := range []bool{false, true} {
		for _, step := range steps {
			id := fmt.Sprint("trip ", undo, step)
			lost := 2
			b.when(id, func(m moment) error {
				if m.step == step && m.undo == undo && m.holding && lost > 0 {
					lost--
					return errBroken
				}
				if undo && m.step == "tour" && !m.undo {
					return saga.Refuse("NO_SEAT")
				}
				return nil
			})
			b.start(p, id)
			b.wait()
			b.ends(id, map[bool]string{false: "done", true: "undone"}[undo])
			if lost != 0 {
				t.Errorf("%s: %d answers were not lost", id, lost)
			}
		}
	}
}
