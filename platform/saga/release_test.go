package saga_test

import (
	"testing"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

// more are the steps of a trip in the next release.
var more = []string{"coupon", "train", "insurance", "hotel", "tour"}

// A saga keeps the steps that it was begun with when the next release has more of them, there and back.
func TestNextReleaseHasMoreSteps(t *testing.T) {
	t.Parallel()
	for _, undo := range []bool{false, true} {
		b := setup(t)
		old := b.process()
		killed := make(chan bool)
		b.when("trip_1", func(m moment) error {
			if undo && m.step == "tour" && !m.undo {
				return saga.Refuse("NO_SEAT")
			}
			if m.step == "hotel" && m.undo == undo {
				close(killed)
				kill()
			}
			return nil
		})
		b.start(old, "trip_1")
		<-killed
		old.rest(t)
		b.when("trip_1", func(moment) error { return nil })
		next := b.release(more...)
		b.expire(next, "trip_1")
		b.wait()
		b.ends("trip_1", map[bool]string{false: "done", true: "undone"}[undo])
		if n := b.effects["trip_1/coupon"] + b.effects["trip_1/insurance"]; n > 0 {
			t.Errorf("%d steps were done that it was not begun with", n)
		}
	}
}

// A process of the release before leaves alone what it does not know, but takes down the wish to have it undone.
func TestReleaseBeforeLeavesSagaAlone(t *testing.T) {
	t.Parallel()
	for _, done := range []bool{false, true} {
		b := setup(t)
		old, next := b.process(), b.release(more...)
		killed := make(chan bool)
		b.when("trip_1", func(m moment) error {
			if !done && m.step == "hotel" && !m.undo {
				close(killed)
				kill()
			}
			return nil
		})
		b.start(next, "trip_1")
		if done {
			b.wait()
		} else {
			<-killed
		}
		next.rest(t)
		b.expire(old, "trip_1")
		if !done {
			if err := old.Resume(moduletest.As(t, ""), "trip_1", "operator"); connect.CodeOf(err) != connect.CodeFailedPrecondition || rpc.Reason(err) != "SAGA_FOREIGN" {
				t.Errorf("a saga with unknown steps is resumed: %v", err)
			}
		}
		b.wish(old, "trip_1")
		old.rest(t)
		if fence := moduletest.Value[int64](t, b.House, "SELECT fence FROM trips.cleave_saga"); fence != 1 {
			t.Errorf("the release before took it: its fence is %d", fence)
		}
		b.expire(b.release(more...), "trip_1")
		b.wait()
		b.ends("trip_1", "undone")
		if b.booked["trip_1/coupon"] || b.booked["trip_1/insurance"] {
			t.Errorf("booked is still %v", b.booked)
		}
	}
}

// Sagas from before their steps were kept go on with those of their kind.
func TestSagaWithoutSteps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Exec(t, `INSERT INTO trips.cleave_saga (id, kind, state, phase, position, leased, due) VALUES ('trip_1', 'trip', '{}', 'forward', 0, true, now())`)
	b.expire(b.process(), "trip_1")
	b.wait()
	b.ends("trip_1", "done")
}
