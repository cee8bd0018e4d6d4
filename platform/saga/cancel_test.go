package saga_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/saga"
)

// Somebody may change their mind at every moment; a step under way ends, and what it did is undone.
func TestCancelAtEveryMoment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.process(), b.process()
	for _, step := range steps {
		for _, holding := range []bool{false, true} {
			for _, killed := range []bool{false, true} {
				id := fmt.Sprint("trip ", step, holding, killed)
				reached, release := make(chan bool), make(chan bool)
				var once sync.Once
				b.when(id, func(m moment) error {
					if m.step == step && m.holding == holding {
						once.Do(func() {
							close(reached)
							<-release
							if killed {
								kill()
							}
						})
					}
					return nil
				})
				b.start(first, id)
				<-reached
				b.wish(second, id) // From another process.
				close(release)
				if killed {
					b.expire(second, id)
				}
				b.wait()
				b.ends(id, "undone")
				if reason := moduletest.Value[string](t, b.House, "SELECT reason FROM trips.cleave_saga WHERE id = $1", id); reason != "CHANGED_MIND" {
					t.Errorf("the reason is %q", reason)
				}
			}
		}
	}
}

// Somebody changes their mind when it is all but undone: that is why it was undone.
func TestCancelAtLastStepBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	var told saga.Change[trip]
	b.persisted = func(c saga.Change[trip]) { told = c }
	b.when("trip_1", func(m moment) error {
		if m.step == "hotel" && !m.undo {
			return saga.Refuse("NO_ROOM")
		}
		if m.step == "train" && m.undo && m.holding {
			b.wish(p, "trip_1")
		}
		return nil
	})
	b.start(p, "trip_1")
	p.rest(t)
	b.ends("trip_1", "undone")
	if !told.Undone || told.Reason != "CHANGED_MIND" {
		t.Errorf("the module was told %+v", told)
	}
}

// Somebody wants it undone while a step leaves it to a person: it goes back, and nobody has to look.
func TestCancelBeatsStuck(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	var once sync.Once
	b.when("trip_1", func(m moment) (err error) {
		if m.step == "hotel" {
			once.Do(func() {
				b.wish(p, "trip_1")
				err = saga.Stuck("no idea")
			})
		}
		return err
	})
	b.start(p, "trip_1")
	b.wait()
	b.ends("trip_1", "undone")
	if got := b.log["trip_1"]; slices.Contains(got, "stuck hotel") || !slices.Contains(got, "turned back hotel") {
		t.Errorf("the module was told %q", got)
	}
}

// Somebody wants it undone while its driver is dead and its lease is on, and then a person resumes it: it goes back.
func TestResumeKeepsWish(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	var once sync.Once
	killed := make(chan bool)
	b.when("trip_1", func(m moment) error {
		if m.step == "hotel" {
			once.Do(func() {
				close(killed)
				kill()
			})
		}
		return nil
	})
	b.start(p, "trip_1")
	<-killed
	p.rest(t)
	second := b.process()
	b.wish(second, "trip_1")
	b.Exec(t, "UPDATE trips.cleave_saga SET due = now()") // The lease ends.
	if err := second.Resume(moduletest.As(t, ""), "trip_1", "it hangs"); err != nil {
		t.Fatal(err)
	}
	b.wait()
	b.ends("trip_1", "undone")
	if note := moduletest.Value[string](t, b.House, "SELECT note FROM trips.cleave_saga_step WHERE what = 'resumed'"); note != "it hangs; turned back: CHANGED_MIND" {
		t.Errorf("the timeline says %q", note)
	}
}
