package saga_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// trip is the state of the sagas of these tests.
type trip struct {
	Seen []string `json:"seen"`
}

// steps of a trip.
var steps = []string{"train", "hotel", "tour"}

// world is what the steps change, as whoever is called must: a key is carried out once, and not after it was undone.
type world struct {
	mu sync.Mutex
	// forgetful is a known mistake: who forgets what was undone lets a late Do in.
	forgetful bool
	booked    map[string]bool
	revoked   map[string]bool
	effects   map[string]int // how often a key was really carried out
}

var errRevoked = rpc.Errorf(9, "REVOKED", "undone before it came")

func (w *world) book(key string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.revoked[key] && !w.forgetful {
		return errRevoked
	}
	if !w.booked[key] {
		w.booked[key] = true
		w.effects[key]++
	}
	return nil
}

func (w *world) cancel(key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked[key] = true
	delete(w.booked, key)
}

// moment is when something happens to a run of a step.
type moment struct {
	step          string
	undo, holding bool // holding: the effect is there already
	// metadata are those that a call of the step would carry.
	metadata rpc.Metadata
}

// bench is a database with sagas of trips, and processes that drive them.
type bench struct {
	*moduletest.House
	*world
	t   *testing.T
	db  *db.DB
	mu  sync.Mutex
	on  map[string]func(m moment) error // what happens to a saga's steps
	log map[string][]string             // boundaries, as the module was told
	// ended receives the id of every saga that ends or gets stuck.
	ended chan string
	// persisted is called after every boundary.
	persisted func(c saga.Change[trip])
	// hook is called at the end of every boundary.
	hook func(tx pgx.Tx, c saga.Change[trip]) error
}

func setup(t *testing.T) *bench {
	b := &bench{
		t: t, on: map[string]func(moment) error{}, log: map[string][]string{}, ended: make(chan string, 1000),
		world: &world{booked: map[string]bool{}, revoked: map[string]bool{}, effects: map[string]int{}},
	}
	b.House = moduletest.Start(t, module.Module{
		Name:       "trips",
		Migrations: fstest.MapFS{"migrations/1_create.sql": {Data: []byte("-- +goose Up\nCREATE TABLE boundary (saga text NOT NULL, step text NOT NULL, what text NOT NULL);\n")}},
		Build: func(host *module.Host) ([]rpc.Handler, error) {
			b.db = host.DB
			return nil, nil
		},
	})
	return b
}

// process is one of several that drive the same sagas. Its sweeps run only when a test wants it.
type process struct {
	*saga.Client
	trips *saga.Saga[trip]
	tasks *module.Tasks
}

// rest waits until the process drives nothing any more: also not what it is to find out that it has lost.
func (p *process) rest(t testing.TB) { p.tasks.Stop(moduletest.As(t, "")) }

func (b *bench) process() *process {
	b.t.Helper()
	return b.release(steps...)
}

// release returns a process of a release in which trips have these steps.
func (b *bench) release(steps ...string) *process {
	b.t.Helper()
	host := b.Hosts["trips"]
	jobs, err := job.New(b.db, host.Log)
	if err != nil {
		b.t.Fatal(err)
	}
	tasks := module.NewTasks(host.Log)
	client := saga.New(b.db, jobs, tasks, host.Log)
	b.t.Cleanup(func() {
		client.Stop()
		tasks.Stop(context.Background())
	})
	return &process{client, saga.Register(client, b.definition(steps)), tasks}
}

func (b *bench) definition(steps []string) saga.Definition[trip] {
	d := saga.Definition[trip]{Kind: "trip"}
	for _, name := range steps {
		run := func(undo bool, effect func(key string) error) func(context.Context, *saga.Run[trip]) error {
			return func(ctx context.Context, r *saga.Run[trip]) error {
				happens := b.happens(r.ID)
				if err := happens(moment{name, undo, false, rpc.MetadataOf(ctx)}); err != nil {
					return err
				}
				if err := effect(r.Key); err != nil {
					return err
				}
				if err := happens(moment{name, undo, true, rpc.MetadataOf(ctx)}); err != nil {
					return err
				}
				r.State.Seen = append(r.State.Seen, name)
				return nil
			}
		}
		d.Steps = append(d.Steps, saga.Step[trip]{
			Name: name, Quiet: name == "hotel", Do: run(false, b.book),
			Undo: run(true, func(key string) error { b.world.cancel(key); return nil }),
		})
	}
	d.Boundary = func(ctx context.Context, tx pgx.Tx, c saga.Change[trip]) error {
		db.Defer(tx, "INSERT INTO boundary VALUES ($1, $2, $3)", c.ID, c.Step, string(c.What))
		db.AfterCommit(ctx, func() {
			b.mu.Lock()
			b.log[c.ID] = append(b.log[c.ID], fmt.Sprintf("%s %s", c.What, c.Step))
			persisted := b.persisted
			b.mu.Unlock()
			if c.Done || c.Undone || c.What == saga.GotStuck {
				b.ended <- c.ID
			}
			if persisted != nil {
				persisted(c)
			}
		})
		if b.hook != nil {
			return b.hook(tx, c)
		}
		return nil
	}
	return d
}

func (b *bench) happens(id string) func(moment) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if fn := b.on[id]; fn != nil {
		return fn
	}
	return func(moment) error { return nil }
}

// when says what happens at a moment of a saga's steps.
func (b *bench) when(id string, fn func(m moment) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.on[id] = fn
}

func (b *bench) tx(fn func(ctx context.Context, tx pgx.Tx) error) {
	b.t.Helper()
	if err := b.db.Tx(moduletest.As(b.t, ""), fn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) start(p *process, id string) {
	b.t.Helper()
	b.tx(func(ctx context.Context, tx pgx.Tx) error { return p.trips.Start(ctx, tx, id, trip{}) })
}

func (b *bench) wish(p *process, id string) {
	b.t.Helper()
	b.tx(func(ctx context.Context, tx pgx.Tx) error { return p.trips.Cancel(ctx, tx, id, "CHANGED_MIND") })
}

// wait waits until some saga has ended, and returns its id.
func (b *bench) wait() string {
	b.t.Helper()
	select {
	case id := <-b.ended:
		return id
	case <-moduletest.As(b.t, "").Done():
		b.t.Fatal("no saga ended")
		return ""
	}
}

// expire ends the lease or the pause of a saga, as time does, and has a process take it over.
func (b *bench) expire(p *process, id string) {
	b.t.Helper()
	b.Exec(b.t, "UPDATE trips.cleave_saga SET due = now() WHERE id = $1 AND due IS NOT NULL", id)
	if err := p.Recover(moduletest.As(b.t, "")); err != nil {
		b.t.Fatal(err)
	}
}

// ends requires how a saga has ended, and that nothing about it is wrong.
func (b *bench) ends(id, want string) {
	b.t.Helper()
	for _, wrong := range b.wrong(id, want) {
		b.t.Errorf("%s: %s", id, wrong)
	}
}

// wrong says what is not as it has to be if a saga has ended so: the world, the timeline, and what the module was told.
func (b *bench) wrong(id, want string) (all []string) {
	b.t.Helper()
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if got := moduletest.Value[string](b.t, b.House, "SELECT phase FROM trips.cleave_saga WHERE id = $1", id); got != want {
		b.mu.Lock()
		say("it is %s, want %s: %q", got, want, b.log[id])
		b.mu.Unlock()
	}
	b.world.mu.Lock()
	defer b.world.mu.Unlock()
	for _, step := range steps {
		key := id + "/" + step
		if b.booked[key] != (want == "done") || b.effects[key] > 1 {
			say("it is %s and %s was booked %d times, and is booked: %v", want, step, b.effects[key], b.booked[key])
		}
	}
	told := moduletest.Query[string](b.t, b.House, "SELECT what || ' ' || step FROM trips.boundary WHERE saga = $1 ORDER BY 1", id)
	written := moduletest.Query[string](b.t, b.House, "SELECT what || ' ' || step FROM trips.cleave_saga_step WHERE saga_id = $1 AND step <> '' ORDER BY 1", id)
	// The timeline does not keep every attempt.
	if !slices.Equal(slices.Compact(slices.Clone(told)), slices.Compact(slices.Clone(written))) {
		say("the module was told of %q, the timeline has %q", told, written)
	}
	for _, list := range [][]string{told, written} {
		for i, what := range list[:max(len(list)-1, 0)] {
			if what == list[i+1] && (strings.HasPrefix(what, "did ") || strings.HasPrefix(what, "undid ")) {
				say("twice it %s", what)
			}
		}
	}
	return all
}

// kill ends the goroutine of a driver as a kill ends its process: nothing is written or said any more.
func kill() { runtime.Goexit() }

var errBroken = errors.New("as the test wants it")
