package saga_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

// While nothing fails nothing waits for a sweep: none runs here.
func TestDrivenStraightThrough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	b.start(p, "trip_1")
	b.wait()
	b.ends("trip_1", "done")
	if got, want := fmt.Sprint(b.log["trip_1"]), "[did train did hotel did tour]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// A done one can be undone.
	b.wish(p, "trip_1")
	b.wait()
	b.ends("trip_1", "undone")
	b.wish(p, "trip_1") // And stays so.
	b.ends("trip_1", "undone")
}

func TestStartIsPartOfItsTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	err := b.db.Tx(moduletest.As(t, ""), func(ctx context.Context, tx pgx.Tx) error {
		return errors.Join(p.trips.Start(ctx, tx, "trip_1", trip{}), errBroken)
	})
	if !errors.Is(err, errBroken) || len(b.effects) > 0 {
		t.Errorf("%v, %v was done", err, b.effects)
	}
	err = b.db.Tx(moduletest.As(t, ""), func(ctx context.Context, tx pgx.Tx) error { return p.trips.Cancel(ctx, tx, "trip_1", "") })
	if !errors.Is(err, saga.ErrUnknown) {
		t.Errorf("%v, want that it is unknown", err)
	}
}

// A process may be killed before, in and after every step on the way there and back; another one goes on.
func TestKillEverywhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.process(), b.process()
	var once sync.Map
	kills := func(id, at string) bool {
		_, killed := once.LoadOrStore(id+at, true)
		return !killed
	}
	for _, back := range []bool{false, true} {
		for _, step := range steps {
			for _, undo := range []bool{false, true}[:1+map[bool]int{true: 1}[back]] {
				for _, when := range []string{"before", "after", "persisted"} {
					id := fmt.Sprint("trip ", back, undo, step, when)
					b.when(id, func(m moment) error {
						if m.step == step && m.undo == undo && when != "persisted" && m.holding == (when == "after") && kills(id, "step") {
							b.ended <- id
							kill()
						}
						if back && m.step == "tour" && !m.undo && m.holding {
							return saga.Refuse("NO_SEAT")
						}
						return nil
					})
					b.persisted = func(c saga.Change[trip]) {
						if when == "persisted" && c.ID == id && c.Step == step && (c.What == saga.Undid) == undo && kills(id, "boundary") {
							if !c.Done && !c.Undone { // Those are told already.
								b.ended <- id
							}
							kill()
						}
					}
					b.start(first, id)
					for b.wait() != id { // An earlier one may be told late.
					}
					b.expire(second, id)
					end := map[bool]string{false: "done", true: "undone"}[back]
					moduletest.Eventually(t, id+" has ended", func() bool {
						return moduletest.Value[string](t, b.House, "SELECT phase FROM trips.cleave_saga WHERE id = $1", id) == end
					})
					b.ends(id, end)
				}
			}
		}
	}
}

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

// A saga is driven on behalf of whoever started it, also by a process that takes it over, and by no more of his call than that.
func TestGoesOnOnBehalf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.process(), b.process()
	kept := rpc.Metadata{Principal: rpc.Principal{Subject: "usr_1", Roles: []string{"customer"}}, CorrelationID: "cor-1", Trace: "00-1-2-01"}
	call := kept
	call.RequestID, call.Caller = "req-1", "edge"
	var mu sync.Mutex
	seen := map[string]rpc.Metadata{}
	b.when("trip_1", func(m moment) error {
		mu.Lock()
		seen[m.step] = m.metadata
		mu.Unlock()
		if m.step == "hotel" {
			first.Stop()
		}
		return nil
	})
	ctx := rpc.WithMetadata(moduletest.As(t, ""), call)
	if err := b.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error { return first.trips.Start(ctx, tx, "trip_1", trip{}) }); err != nil {
		t.Fatal(err)
	}
	moduletest.Eventually(t, "the lease was given back", func() bool {
		return !moduletest.Value[bool](t, b.House, "SELECT leased FROM trips.cleave_saga")
	})
	if err := second.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wait()
	for _, step := range steps {
		if !reflect.DeepEqual(seen[step], kept) {
			t.Errorf("%s was done with %+v, want %+v", step, seen[step], kept)
		}
	}
}

// A process that stops in order gives its sagas back: another one goes on at once.
func TestStopGivesLeasesBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := b.process(), b.process()
	reached, release := make(chan bool), make(chan bool)
	var once sync.Once
	b.when("trip_1", func(m moment) error {
		if m.step == "hotel" {
			once.Do(func() {
				close(reached)
				<-release
			})
		}
		return nil
	})
	b.start(first, "trip_1")
	<-reached
	first.Stop()
	close(release)
	moduletest.Eventually(t, "the lease was given back", func() bool {
		return !moduletest.Value[bool](t, b.House, "SELECT leased FROM trips.cleave_saga")
	})
	if err := second.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wait()
	b.ends("trip_1", "done")
}

func TestOldSagasAreForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	b.start(p, "trip_1")
	b.start(p, "trip_2")
	b.wait()
	b.wait()
	b.Exec(t, "UPDATE trips.cleave_saga SET create_time = now() - interval '61 days', update_time = now() - interval '61 days' WHERE id = 'trip_1'")
	if err := p.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := moduletest.Query[string](t, b.House, "SELECT id FROM trips.cleave_saga UNION SELECT saga_id FROM trips.cleave_saga_step")
	if !slices.Equal(left, []string{"trip_2"}) {
		t.Errorf("%q are left", left)
	}
	// Its module can still have it undone.
	b.tx(func(ctx context.Context, tx pgx.Tx) error {
		return p.trips.StartUndone(ctx, tx, "trip_1", trip{}, "CHANGED_MIND")
	})
	b.wait()
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	if b.booked["trip_1/train"] {
		t.Error("it is not undone")
	}
}

// A process that is busy with what it started itself still takes over what others left.
func TestBusyProcessTakesOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, busy := b.process(), b.process()
	release := make(chan bool)
	t.Cleanup(func() { close(release) })
	b.when("trip_1", func(m moment) error {
		if m.step == "hotel" {
			b.ended <- "trip_1"
			kill()
		}
		return nil
	})
	b.start(first, "trip_1")
	b.wait()
	b.when("trip_1", func(moment) error { return nil })
	b.tx(func(ctx context.Context, tx pgx.Tx) (err error) {
		for i := range saga.MaxHeld {
			id := fmt.Sprint("slow_", i)
			b.when(id, func(moment) error { <-release; return nil })
			err = errors.Join(err, busy.trips.Start(ctx, tx, id, trip{}))
		}
		return err
	})
	b.expire(busy, "trip_1")
	b.wait()
	b.ends("trip_1", "done")
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
