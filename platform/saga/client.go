package saga

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/saga/internal/course"
)

// The times of a driver.
const (
	// leaseTime is how long a saga is left to a process that says nothing. A kill costs at most this and a sweep.
	leaseTime  = 5 * time.Second
	sweepEvery = time.Second
	// stepTimeout bounds one run of a step.
	stepTimeout = 10 * time.Second
	// batch is how many sagas one statement takes over, and maxHeld how many a process drives when it takes over more. What it starts
	// itself is bounded by its tasks.
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
	run      func(ctx context.Context, id string, state []byte, a course.Action) ([]byte, error)
	boundary func(ctx context.Context, tx pgx.Tx, c Change[[]byte]) error
}

// Client drives the sagas of one module.
type Client struct {
	db    *db.DB
	tasks Tasks
	log   *slog.Logger
	kinds map[string]*kind
	// driver tells this process from others, for people.
	driver string
	// noFence is a known mistake: whoever writes late is let.
	noFence bool

	stopping context.Context
	stop     func()

	mu   sync.Mutex
	held map[*lease]bool // what this process drives
}

// lease is a saga that this process drives.
type lease struct {
	id    string
	fence int64
	// nudged receives when somebody has wished the saga undone.
	nudged chan struct{}
}

// New returns a client whose sweeps run with the jobs.
func New(d *db.DB, jobs *job.Client, tasks Tasks, log *slog.Logger) *Client {
	c := &Client{
		db: d, tasks: tasks, log: log, kinds: map[string]*kind{}, held: map[*lease]bool{}, noFence: fault.Bug("saga-no-fence"),
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
	db.AfterCommit(ctx, func() { c.begin(ctx, r) })
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

// begin drives a saga whose lease this process has, in a task. It reports whether it could: not if too many tasks run. Then the lease
// is left to end.
func (c *Client) begin(ctx context.Context, r *row) bool {
	l := &lease{id: r.id, fence: r.fence, nudged: make(chan struct{}, 1)}
	c.mu.Lock()
	c.held[l] = true
	c.mu.Unlock()
	forget := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.held, l)
	}
	began := c.tasks.Go(ctx, func(ctx context.Context) {
		defer forget()
		c.drive(ctx, r, l)
	})
	if !began {
		forget()
	}
	return began
}

// renew keeps the leases of what this process drives. When it drives nothing, it asks for nothing.
func (c *Client) renew(ctx context.Context) error {
	c.mu.Lock()
	ids, fences := make([]string, 0, len(c.held)), make([]int64, 0, len(c.held))
	for l := range c.held {
		ids, fences = append(ids, l.id), append(fences, l.fence)
	}
	c.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	_, err := c.db.Pool().Exec(ctx, `UPDATE cleave_saga AS s SET due = now() + $3::interval
		FROM unnest($1::text[], $2::bigint[]) AS held (id, fence) WHERE s.id = held.id AND s.fence = held.fence AND s.leased`, ids, fences, leaseTime)
	return err
}

// recover takes over sagas that are due: those whose process was killed, and those that wait for their next attempt. It does not wait
// for them.
func (c *Client) recover(ctx context.Context) error {
	kinds := make([]string, 0, len(c.kinds))
	for name := range c.kinds {
		kinds = append(kinds, name)
	}
	for len(kinds) > 0 && c.stopping.Err() == nil {
		c.mu.Lock()
		room := min(batch, maxHeld-len(c.held))
		c.mu.Unlock()
		if room <= 0 {
			return nil
		}
		rows, err := c.db.Pool().Query(ctx, `UPDATE cleave_saga SET fence = fence + 1, leased = true, due = now() + $3::interval, driver = $4
			WHERE id IN (SELECT id FROM cleave_saga WHERE due <= now() AND kind = ANY ($1) ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED)
			RETURNING `+columns, kinds, room, leaseTime, c.driver)
		if err != nil {
			return err
		}
		due, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*row, error) { return c.scan(r) })
		if err != nil {
			return err
		}
		for _, r := range due {
			if !c.begin(ctx, r) {
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
