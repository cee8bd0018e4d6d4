package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"entgo.io/ent/dialect"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// chore is a job of the module chores.
type chore struct {
	Name string `json:"name"`
}

func (chore) Kind() string { return "chores.chore" }

// bundle is a module with one kind of job.
type bundle struct {
	*moduletest.House
	store *db.Store[dialect.Driver]
	jobs  *job.Client
	// began receives the name of every job that is begun.
	began chan string
	// work is what a job does after it has begun.
	work func(ctx context.Context, name string) error
}

func setup(t *testing.T, work func(ctx context.Context, name string) error) *bundle {
	b := &bundle{began: make(chan string, 1000), work: work}
	b.House = moduletest.Start(t, module.Module{
		Name:       "chores",
		Migrations: fstest.MapFS{"migrations/1_create.sql": {Data: []byte("-- +goose Up\nCREATE TABLE done (name text NOT NULL);\n")}},
		Build: func(host *module.Host) ([]rpc.Handler, error) {
			b.store = db.NewStore(host.DB, func(d dialect.Driver) dialect.Driver { return d })
			b.jobs = host.Jobs
			b.handle(host.Jobs)
			return nil, nil
		},
	})
	return b
}

func (b *bundle) handle(jobs *job.Client) {
	job.Handle(jobs, func(ctx context.Context, c chore) error {
		b.began <- c.Name
		return b.work(ctx, c.Name)
	})
}

func nothing(context.Context, string) error { return nil }

// insert inserts jobs in a transaction that ends with the error.
func (b *bundle) insert(t *testing.T, end error, at time.Time, names ...string) {
	t.Helper()
	err := b.store.Tx(moduletest.As(t, ""), func(ctx context.Context, tx db.Tx[dialect.Driver]) error {
		for _, name := range names {
			if err := b.jobs.Insert(ctx, tx, chore{name}, at); err != nil {
				return err
			}
		}
		return end
	})
	if !errors.Is(err, end) {
		t.Fatal(err)
	}
}

// next waits for the next job to begin.
func (b *bundle) next(t *testing.T) string {
	t.Helper()
	select {
	case name := <-b.began:
		return name
	case <-moduletest.As(t, "").Done():
		t.Fatal("no job was begun")
		return ""
	}
}

// states returns how many jobs are in which state.
func (b *bundle) states(t *testing.T) map[string]int64 {
	t.Helper()
	counts := map[string]int64{}
	for _, state := range moduletest.Query[string](t, b.House, "SELECT state::text FROM chores.river_job WHERE kind = 'chores.chore'") {
		counts[state]++
	}
	return counts
}

var errAnything = errors.New("as the test wants it")

func TestJobIsOwedByItsTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t, nothing)
	b.insert(t, errAnything, time.Time{}, "rolled back")
	b.insert(t, nil, time.Time{}, "committed")
	if name := b.next(t); name != "committed" {
		t.Errorf("%q was begun", name)
	}
	moduletest.Eventually(t, "the job is completed", func() bool { return b.states(t)["completed"] == 1 })
	if states := b.states(t); len(states) != 1 {
		t.Errorf("the jobs are %v, want one that is completed", states)
	}
	if len(b.began) > 0 {
		t.Errorf("%q was begun as well", <-b.began)
	}
}

// TestJobActsOnBehalf holds that a job is done on behalf of whoever was the caller when it was inserted, also when it is tried again.
func TestJobActsOnBehalf(t *testing.T) {
	t.Parallel()
	seen := make(chan rpc.Metadata, 2)
	var runs atomic.Int64
	b := setup(t, func(ctx context.Context, _ string) error {
		seen <- rpc.MetadataOf(ctx)
		if runs.Add(1) == 1 {
			return errAnything
		}
		return nil
	})
	kept := rpc.Metadata{Principal: rpc.Principal{Subject: "usr_1", Roles: []string{"staff"}, Scopes: []string{"orders:read"}}, CorrelationID: "cor-1", Trace: "00-1-2-01"}
	call := kept
	call.RequestID, call.Caller = "req-1", "edge"
	err := b.store.Tx(rpc.WithMetadata(moduletest.As(t, ""), call), func(ctx context.Context, tx db.Tx[dialect.Driver]) error {
		return b.jobs.Insert(ctx, tx, chore{"for somebody"}, time.Time{})
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.next(t)
		if got := <-seen; !reflect.DeepEqual(got, kept) {
			t.Errorf("the job saw %+v, want %+v", got, kept)
		}
	}
}

func TestJobWaitsForItsTime(t *testing.T) {
	t.Parallel()
	b := setup(t, nothing)
	b.insert(t, nil, time.Now().Add(time.Hour), "later")
	b.insert(t, nil, time.Time{}, "now")
	if name := b.next(t); name != "now" {
		t.Errorf("%q was begun", name)
	}
	if b.states(t)["scheduled"] != 1 {
		t.Errorf("the jobs are %v, want one that waits", b.states(t))
	}
	b.Hurry(t, "chores", "chores.chore")
	if name := b.next(t); name != "later" {
		t.Errorf("%q was begun when its time had come", name)
	}
}

// Replicas work the same jobs, each of them once.
func TestReplicasWorkEachJobOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	times := map[string]int{}
	b := setup(t, func(_ context.Context, name string) error {
		mu.Lock()
		defer mu.Unlock()
		times[name]++
		return nil
	})
	replica, err := job.New(b.store.DB, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.handle(replica)
	if err := replica.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer replica.Stop(moduletest.As(t, ""))
	const count = 100
	for i := range count {
		b.insert(t, nil, time.Time{}, fmt.Sprint(i))
	}
	moduletest.Eventually(t, "all jobs are completed", func() bool { return b.states(t)["completed"] == count })
	mu.Lock()
	defer mu.Unlock()
	for name, n := range times {
		if n != 1 {
			t.Errorf("job %s was worked %d times", name, n)
		}
	}
}

func TestJobThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]func() error{
		"an error": func() error { return errAnything },
		"a panic":  func() error { panic("as the test wants it") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var runs atomic.Int64
			b := setup(t, func(context.Context, string) error {
				if runs.Add(1) == 1 {
					return failure()
				}
				return nil
			})
			b.insert(t, nil, time.Time{}, "a")
			if one, two := b.next(t), b.next(t); one != "a" || two != "a" {
				t.Errorf("%q and %q were begun", one, two)
			}
			moduletest.Eventually(t, "the job is completed", func() bool { return b.states(t)["completed"] == 1 })
		})
	}
}

func TestStopWaitsForRunningJob(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var finished, cancelled atomic.Bool
	b := setup(t, func(ctx context.Context, _ string) error {
		<-release
		cancelled.Store(ctx.Err() != nil)
		finished.Store(true)
		return nil
	})
	b.insert(t, nil, time.Time{}, "a")
	b.next(t)
	time.AfterFunc(50*time.Millisecond, func() { close(release) }) // A Stop that does not wait is over by then.
	if err := b.jobs.Stop(moduletest.As(t, "")); err != nil {
		t.Fatal(err)
	}
	if !finished.Load() || cancelled.Load() {
		t.Errorf("the job has finished: %v, was cancelled: %v", finished.Load(), cancelled.Load())
	}
	b.insert(t, nil, time.Time{}, "after the stop")
	if states := b.states(t); states["completed"] != 1 || states["available"] != 1 {
		t.Errorf("the jobs are %v, want one that is completed and one that waits for the next start", states)
	}
}

// A job that does not end in time is cut short, and worked again at the next start.
func TestStopCancelsWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	b := setup(t, func(ctx context.Context, _ string) error {
		if runs.Add(1) > 1 {
			return nil
		}
		<-ctx.Done()
		return ctx.Err()
	})
	b.insert(t, nil, time.Time{}, "a")
	b.next(t)
	over, cancel := context.WithCancel(moduletest.As(t, ""))
	cancel()
	if err := b.jobs.Stop(over); err != nil {
		t.Fatal(err)
	}
	if b.states(t)["completed"] != 0 {
		t.Errorf("the jobs are %v, want one that has not ended", b.states(t))
	}
	next, err := job.New(b.store.DB, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.handle(next)
	if err := next.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer next.Stop(moduletest.As(t, ""))
	b.next(t)
	moduletest.Eventually(t, "the job is completed", func() bool { return b.states(t)["completed"] == 1 })
}

// Answers that are kept for repetitions do not pile up.
func TestOldAnswersAreForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t, nothing)
	b.Exec(t, `INSERT INTO chores.cleave_request (caller, method, request_id, fingerprint, create_time)
		VALUES ('a', 'm', 'old', '', now() - interval '8 days'), ('a', 'm', 'new', '', now())`)
	b.Exec(t, "INSERT INTO chores.river_job (kind, args, max_attempts) VALUES ('platform.purge_requests', '{}', 1)")
	moduletest.Eventually(t, "the old answer is gone", func() bool {
		ids := moduletest.Query[string](t, b.House, "SELECT request_id FROM chores.cleave_request")
		return len(ids) == 1 && ids[0] == "new"
	})
}
