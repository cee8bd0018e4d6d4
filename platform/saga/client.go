package saga

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga/internal/course"
)

// The times of a driver.
const (
	// leaseTime is how long a saga is left to a process that says nothing. A kill costs at most this and a sweep.
	leaseTime  = 5 * time.Second
	sweepEvery = time.Second
	// young is how long a lease is not renewed. Most sagas have ended by then, and are spared a change of an index, and a wait for it at
	// their boundary. What is left of the lease then is enough for the next renewal to come late.
	young = time.Second
	// stepTimeout bounds one run of a step.
	stepTimeout = 10 * time.Second
	// batch is how many sagas one statement takes over, and maxHeld how many of those a process drives at a time. What it starts itself
	// does not count, so that a busy process still sees to those of a dead one; its tasks bound both.
	batch   = 32
	maxHeld = 128
	// retention is how long ended sagas are kept. It is longer than what anybody asks about a purchase (a month of returns, then the
	// statement of the card), and a saga that is undone later is begun anew from its module's rows.
	retention  = 60 * 24 * time.Hour
	purgeEvery = 10 * time.Minute
	purgeBatch = 1000
)

// Tasks runs what goes on after a method has answered: module.Tasks.
type Tasks interface {
	Go(ctx context.Context, fn func(context.Context)) bool
}

// kind is a definition without its type.
type kind struct {
	name     string
	steps    []course.Step
	run      func(ctx context.Context, id string, before state, step string, undo bool) (state, error)
	boundary func(ctx context.Context, tx pgx.Tx, c Change[state]) error
}

// state is that of a saga without its type.
type state struct {
	encoded []byte
	// decoded is what encoded was made of, if that is known.
	decoded any
}

// stepNames returns the names of steps.
func stepNames(steps []course.Step) (names []string) {
	for _, s := range steps {
		names = append(names, s.Name)
	}
	return names
}

// called returns the steps of the kind that have these names, and whether it has them all. Without names it returns its own.
func (k *kind) called(names []string) ([]course.Step, bool) {
	if k == nil {
		return nil, false
	}
	if len(names) == 0 {
		return k.steps, true
	}
	var steps []course.Step
	for _, name := range names {
		i := slices.IndexFunc(k.steps, func(s course.Step) bool { return s.Name == name })
		if i < 0 {
			return nil, false
		}
		steps = append(steps, k.steps[i])
	}
	return steps, true
}

// Client drives the sagas of one module.
type Client struct {
	db    *db.DB
	tasks Tasks
	log   *slog.Logger
	kinds map[string]*kind
	// driver tells this process from others, for people.
	driver    string
	durations *prometheus.HistogramVec
	// noFence is a known mistake: whoever writes late is let.
	noFence bool

	stopping context.Context
	stop     func()

	mu   sync.Mutex
	held map[*lease]bool // what this process drives, and whether it has taken it over
}

// lease is a saga that this process drives.
type lease struct {
	id    string
	fence int64
	since time.Time
	// nudged receives when somebody has wished the saga undone.
	nudged chan struct{}
}

// New returns a client whose sweeps run with the jobs.
func New(d *db.DB, jobs *job.Client, tasks Tasks, log *slog.Logger) *Client {
	c := &Client{
		db: d, tasks: tasks, log: log, kinds: map[string]*kind{}, durations: newDurations(d.Module()), held: map[*lease]bool{}, noFence: fault.Bug("saga-no-fence"),
	}
	host, _ := os.Hostname() // Without it there is still the number.
	c.driver = strings.TrimSpace(fmt.Sprintf("%s %d", host, os.Getpid()))
	c.stopping, c.stop = context.WithCancel(context.Background())
	jobs.Every("saga.renew", leaseTime/3, c.renew)
	jobs.Every("saga.recover", sweepEvery, c.recover)
	jobs.Every("saga.purge", purgeEvery, c.purge)
	return c
}

// Stop has this process drive no saga beyond the step that it is at: another process takes it on at once. It does not wait: the
// tasks do.
func (c *Client) Stop() { c.stop() }

// Resume has a saga that waits or is stuck try again at once. The note says who wants it, or why. It does nothing if the saga is being
// driven or has ended, and fails with [ErrUnknown] if there is none.
func (c *Client) Resume(ctx context.Context, id, note string) error {
	return c.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := c.resume(ctx, tx, id, note)
		return err
	})
}

// afterCommit drives a saga in a task when the transaction of ctx has committed.
func (c *Client) afterCommit(ctx context.Context, r *row) {
	db.AfterCommit(ctx, func() { c.begin(ctx, r, false) })
}

func (c *Client) nudgeAfterCommit(ctx context.Context, id string) {
	db.AfterCommit(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for l := range c.held {
			if l.id == id {
				select {
				case l.nudged <- struct{}{}:
				default:
				}
			}
		}
	})
}

// begin drives a saga whose lease this process has, because it started it or took it over, in a task. It reports whether it could: not if too many tasks run. Then the lease
// is left to end.
func (c *Client) begin(ctx context.Context, r *row, over bool) bool {
	onBehalf, err := rpc.WithOrigin(ctx, r.origin)
	if err != nil { // What then asks who it is for is refused, and the saga is stuck where everybody sees it.
		c.log.ErrorContext(ctx, "saga goes on for nobody", "saga", r.id, "error", err)
		onBehalf = rpc.WithMetadata(ctx, rpc.Metadata{})
	}
	l := &lease{id: r.id, fence: r.fence, since: time.Now(), nudged: make(chan struct{}, 1)}
	c.mu.Lock()
	c.held[l] = over
	c.mu.Unlock()
	forget := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.held, l)
	}
	began := c.tasks.Go(onBehalf, func(ctx context.Context) {
		defer forget()
		c.drive(ctx, r, l)
	})
	if !began {
		forget()
	}
	return began
}

// renew keeps the leases of what this process has driven for a while. When there is nothing of that kind, it asks for nothing.
func (c *Client) renew(ctx context.Context) error {
	c.mu.Lock()
	ids, fences := make([]string, 0, len(c.held)), make([]int64, 0, len(c.held))
	for l := range c.held {
		if time.Since(l.since) >= young {
			ids, fences = append(ids, l.id), append(fences, l.fence)
		}
	}
	c.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	_, err := c.db.Pool().Exec(ctx, `UPDATE cleave_saga AS s SET due = now() + $3::interval
		FROM unnest($1::text[], $2::bigint[]) AS held (id, fence) WHERE s.id = held.id AND s.fence = held.fence AND s.leased`, ids, fences, leaseTime)
	return err
}

// takenOver returns how many sagas this process drives that it did not start itself.
func (c *Client) takenOver() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, over := range c.held {
		if over {
			n++
		}
	}
	return n
}

// recover takes over sagas that are due: those whose process was killed, and those that wait for their next attempt. It does not wait
// for them. Those that have a step which only another release knows it leaves to that one.
func (c *Client) recover(ctx context.Context) error {
	for _, k := range c.kinds {
		if err := c.recoverKind(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) recoverKind(ctx context.Context, k *kind) error {
	for c.stopping.Err() == nil {
		room := min(batch, maxHeld-c.takenOver())
		if room <= 0 {
			return nil
		}
		rows, err := c.db.Pool().Query(ctx, `UPDATE cleave_saga SET fence = fence + 1, leased = true, due = now() + $3::interval, driver = $4
			WHERE id IN (SELECT id FROM cleave_saga WHERE due <= now() AND kind = $1 AND (steps IS NULL OR steps <@ $5) ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED)
			RETURNING `+columns, k.name, room, leaseTime, c.driver, stepNames(k.steps))
		if err != nil {
			return err
		}
		due, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*row, error) { return c.scan(r) })
		if err != nil {
			return err
		}
		for _, r := range due {
			if !c.begin(ctx, r, true) {
				return nil
			}
		}
		if len(due) < room {
			return nil
		}
	}
	return nil
}

// purge forgets sagas that ended long ago, with their timelines.
func (c *Client) purge(ctx context.Context) error {
	for {
		tag, err := c.db.Pool().Exec(ctx, `WITH old AS (
				DELETE FROM cleave_saga WHERE id IN (SELECT id FROM cleave_saga
					WHERE phase IN ('done', 'undone') AND create_time < now() - $1::interval AND update_time < now() - $1::interval LIMIT $2)
				AND phase IN ('done', 'undone') RETURNING id
			), steps AS (DELETE FROM cleave_saga_step WHERE saga_id IN (SELECT id FROM old))
			SELECT FROM old`, retention, purgeBatch)
		if err != nil || tag.RowsAffected() < purgeBatch {
			return err
		}
	}
}
