package saga_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"pgregory.net/rapid"

	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

// A step whose reply is lost, that breaks or that panics is run again.
func TestPassingFailures(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	for name, fail := range map[string]func() error{
		"error": func() error { return errBroken }, "panic": func() error { panic("as the test wants it") },
		"down": func() error { return rpc.Errorf(connect.CodeUnavailable, "", "down") },
		"wait": func() error { return saga.Wait("no answer yet") },
	} {
		for _, holding := range []bool{false, true} {
			id := fmt.Sprint(name, holding)
			var once sync.Once
			b.when(id, func(m moment) (err error) {
				if m.step == "hotel" && m.holding == holding {
					once.Do(func() { err = fail() })
				}
				return err
			})
			b.start(p, id)
			if name == "wait" {
				moduletest.Eventually(t, "it waits", func() bool {
					return !moduletest.Value[bool](t, b.House, "SELECT leased FROM trips.cleave_saga WHERE id = $1", id)
				})
				b.expire(p, id)
			}
			b.wait()
			b.ends(id, "done")
		}
	}
}

// What fails for long waits without a driver, longer and longer.
func TestBackoff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	var mu sync.Mutex
	broken := true
	b.when("trip_1", func(m moment) error {
		mu.Lock()
		defer mu.Unlock()
		if broken && m.step == "hotel" {
			return errBroken
		}
		return nil
	})
	b.start(p, "trip_1")
	attempts := func(n int64) {
		moduletest.Eventually(t, "the attempt is written down", func() bool {
			return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM trips.cleave_saga WHERE id = 'trip_1' AND attempt = $1 AND NOT leased AND due > now()", n) == 1
		})
	}
	attempts(1)
	b.expire(p, "trip_1")
	attempts(2)
	mu.Lock()
	broken = false
	mu.Unlock()
	b.expire(p, "trip_1")
	b.wait()
	b.ends("trip_1", "done")
}

// However often a step is tried, its timeline stays short and ends with the latest attempt, and then with what became of it.
func TestTimelineStaysShort(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	attempt := 0
	b.when("trip_1", func(m moment) error {
		if m.step == "hotel" && !m.holding {
			if attempt++; attempt <= 13 {
				return saga.Wait(fmt.Sprint("no answer to ", attempt))
			}
		}
		return nil
	})
	b.start(p, "trip_1")
	for n := 1; n <= 13; n++ {
		moduletest.Eventually(t, "the attempt is written down", func() bool {
			return moduletest.Value[bool](t, b.House, "SELECT attempt = $1 AND NOT leased FROM trips.cleave_saga", n)
		})
		if n == 13 {
			if last := b.list(p.Operator(), &sagav1.ListSagasRequest{})[0].GetLast(); last.GetAttempt() != 13 || last.GetNote() != "no answer to 13" {
				t.Errorf("an operator sees %v last", last)
			}
		}
		b.expire(p, "trip_1")
	}
	b.wait()
	b.ends("trip_1", "done")
	timeline := moduletest.Query[string](t, b.House, "SELECT what || ' ' || step || ' ' || attempt FROM trips.cleave_saga_step ORDER BY number")
	if want := []string{"did train 1", "waiting hotel 1", "waiting hotel 3", "waiting hotel 7", "waiting hotel 13", "did hotel 14", "did tour 1"}; !slices.Equal(timeline, want) {
		t.Errorf("the timeline has %q, want %q", timeline, want)
	}
}

func TestStuckWaitsForAPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	var once sync.Once
	b.when("trip_1", func(m moment) (err error) {
		if m.step == "tour" && !m.undo {
			return saga.Refuse("NO_SEAT")
		}
		if m.step == "hotel" && m.undo {
			once.Do(func() { err = saga.Stuck("the hotel keeps the money") })
		}
		return err
	})
	b.start(p, "trip_1")
	b.wait()
	if err := p.Recover(t.Context()); err != nil { // Nobody comes upon it.
		t.Fatal(err)
	}
	if !moduletest.Value[bool](t, b.House, "SELECT stuck AND due IS NULL FROM trips.cleave_saga") {
		t.Error("it is not stuck")
	}
	if err := p.Resume(moduletest.As(t, ""), "trip_1", "called the hotel"); err != nil {
		t.Fatal(err)
	}
	b.wait()
	b.ends("trip_1", "undone")
}

// Whatever happens to sagas, each is either done or undone as a whole.
func TestAnythingMayHappen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.process(), b.process()
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		id := fmt.Sprint("trip ", n)
		script := rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "fail", "panic", "wait", "refuse", "kill", "cancel"}), 0, 8).Draw(r, "script")
		var mu sync.Mutex
		var busy atomic.Int32
		b.when(id, func(m moment) error {
			busy.Add(1)
			defer busy.Add(-1)
			mu.Lock()
			what := ""
			if len(script) > 0 {
				what, script = script[0], script[1:]
			}
			mu.Unlock()
			switch what {
			case "fail":
				return errBroken
			case "panic":
				panic(id)
			case "wait":
				return saga.Wait("no answer yet")
			case "refuse":
				return saga.Refuse("NO")
			case "kill":
				kill()
			case "cancel":
				b.wish(second, id)
			}
			return nil
		})
		b.start(first, id)
		await := func() {
			for ended := false; !ended; {
				// The driver may live: then it becomes a zombie.
				b.expire(second, id)
				ended = moduletest.Value[bool](t, b.House, "SELECT phase IN ('done', 'undone') FROM trips.cleave_saga WHERE id = $1", id)
			}
		}
		await()
		// A zombie may still turn it back, as the script says. After that nothing more happens to it.
		mu.Lock()
		script = nil
		mu.Unlock()
		for busy.Load() > 0 {
			runtime.Gosched()
		}
		await()
		b.ends(id, moduletest.Value[string](t, b.House, "SELECT phase FROM trips.cleave_saga WHERE id = $1", id))
		for len(b.ended) > 0 {
			<-b.ended
		}
	})
}
