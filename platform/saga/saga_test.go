package saga_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

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
