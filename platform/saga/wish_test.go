package saga_test

import (
	"sync"
	"testing"

	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/saga"
)

// A wish may come when the last step is being undone for another reason: it is the reason that stays, so that the module, which has
// written the wish down, is told of it.
func TestWishAtTheLastMoment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	var once sync.Once
	b.when("trip_1", func(m moment) error {
		if m.step == "tour" && !m.undo {
			return saga.Refuse("NO_SEAT")
		}
		if m.step == "train" && m.undo {
			once.Do(func() { b.wish(p, "trip_1") })
		}
		return nil
	})
	b.start(p, "trip_1")
	b.wait()
	b.ends("trip_1", "undone")
	if reason := moduletest.Value[string](t, b.House, "SELECT reason FROM trips.cleave_saga"); reason != "CHANGED_MIND" {
		t.Errorf("the reason is %q", reason)
	}
}
