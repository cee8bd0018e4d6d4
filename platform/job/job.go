// Package job does what a module owes itself: later, again after a failure, or on a schedule. It is River, one client per module, in
// the module's own schema: a job is inserted in the transaction of the use case that owes it.
//
// What many rows owe at times of their own is no job each but a sweep over them: [Client.Every].
//
// No request waits for a job: what must follow at once is done by whoever has started it, and the job is the net below.
package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/idempotency"
)

// The settings of a module's client. Polling is slow because it is only the net below the notification on insert.
const (
	maxWorkers    = 20
	pollInterval  = time.Second
	fetchCooldown = 20 * time.Millisecond
	jobTimeout    = time.Minute
	// hardStop is how long what was cancelled by Stop has to end.
	hardStop = 5 * time.Second
	// purgeBatch is how many old answers are removed by one statement.
	purgeBatch = 10_000
)

// Client inserts and works the jobs of one module.
type Client struct {
	db      *db.DB
	workers *river.Workers
	river   *river.Client[pgx.Tx]
	sweeps  sweeps
	log     *slog.Logger
}

// New returns a client that works nothing before [Client.Start].
func New(d *db.DB, log *slog.Logger) (*Client, error) {
	c := &Client{db: d, workers: river.NewWorkers(), log: log}
	Handle(c, func(ctx context.Context, _ purgeRequests) error {
		for {
			removed, err := idempotency.Purge(ctx, d.Pool(), purgeBatch)
			if err != nil || removed < purgeBatch {
				return err
			}
		}
	})
	var err error
	c.river, err = river.NewClient(riverpgxv5.New(d.Pool()), &river.Config{
		Schema:              d.Module(),
		Logger:              slog.New(atLeast{slog.LevelWarn, log.Handler()}),
		Workers:             c.workers,
		Queues:              map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers}},
		FetchPollInterval:   pollInterval,
		FetchCooldown:       fetchCooldown,
		JobTimeout:          jobTimeout,
		ReindexerIndexNames: []string{}, // The module's role may not reindex.
		PeriodicJobs: []*river.PeriodicJob{
			river.NewPeriodicJob(river.PeriodicInterval(time.Hour),
				func() (river.JobArgs, *river.InsertOpts) { return purgeRequests{}, nil }, &river.PeriodicJobOpts{RunOnStart: true}),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("make the job client of %s: %w", d.Module(), err)
	}
	return c, nil
}

// purgeRequests forgets answers that nobody can ask for again.
type purgeRequests struct{}

func (purgeRequests) Kind() string { return "platform.purge_requests" }

// Handle says how jobs of kind A are worked. An error puts the job back, to be tried again with growing pauses. It must be called
// before Start.
func Handle[A river.JobArgs](c *Client, work func(ctx context.Context, args A) error) {
	river.AddWorker(c.workers, river.WorkFunc(func(ctx context.Context, job *river.Job[A]) error { return work(ctx, job.Args) }))
}

// Insert adds a job in the transaction, to be worked at the given time; the zero time is at once.
func (c *Client) Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs, at time.Time) error {
	if _, err := c.river.InsertTx(ctx, tx, args, &river.InsertOpts{ScheduledAt: at}); err != nil {
		return fmt.Errorf("insert job %s: %w", args.Kind(), err)
	}
	return nil
}

// Start begins to work jobs and to sweep. It returns at once.
func (c *Client) Start(ctx context.Context) error {
	// River stops hard when this context ends; Stop lets running jobs finish.
	if err := c.river.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start the jobs of %s: %w", c.db.Module(), err)
	}
	c.sweeps.start(context.WithoutCancel(ctx))
	return nil
}

// Stop takes no new job, begins no sweep, and waits for the running ones. When ctx is done it cancels them.
func (c *Client) Stop(ctx context.Context) error {
	if c.sweeps.stop != nil {
		c.sweeps.stop()
	}
	return errors.Join(c.stopRiver(ctx), c.sweeps.wait(ctx))
}

func (c *Client) stopRiver(ctx context.Context) error {
	if err := c.river.Stop(ctx); err == nil || ctx.Err() == nil {
		return err
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
	defer cancel()
	return c.river.StopAndCancel(hard)
}

// atLeast drops what River says below a level.
type atLeast struct {
	level slog.Level
	slog.Handler
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.level, h.Handler.WithAttrs(attrs)}
}
func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.level, h.Handler.WithGroup(name)}
}
