// Package job does what a module owes itself: later, again after a failure, or on a schedule. It is River, one client per module, in
// the module's own schema: a job is inserted in the transaction of the use case that owes it.
//
// What many rows owe at times of their own is no job each but a sweep over them: [Client.Every].
//
// No request waits for a job: what must follow at once is done by whoever has started it, and the job is the net below.
package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The settings of a module's client, which has one queue: what is left to jobs is rare, and nothing waits for it.
const (
	// maxWorkers jobs run at once in a replica, and no more than maxWorkers in each fetchCooldown: a thousand a second, far more than the
	// database has to spare for what is rare.
	maxWorkers    = 20
	fetchCooldown = 20 * time.Millisecond
	// notifyCooldown is in what time River sends one notification. It spends it also on an insert that is rolled back, so this is as short
	// as River allows, although the queue looks less often.
	notifyCooldown = river.FetchCooldownMin
	// pollInterval is the net below the notification, and how late a job is at most whose insert has sent none. Polling more often is paid
	// for by every idle module (five modules: 4 % of a core at a second, 12 % at 150 ms).
	pollInterval = time.Second
	jobTimeout   = time.Minute
	// What nobody asks for again is removed: work that is done after as long as the operator's page looks back, because dead rows make
	// each fetch slower; work that was called off after a week, in which somebody may wonder. What was given up is kept until a person
	// decides.
	keepCompleted = time.Hour
	keepCancelled = 7 * 24 * time.Hour
	keepDiscarded = -1
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
	tending sweeps // The lease, which is held until the last job has ended.
	worked  *prometheus.CounterVec
	log     *slog.Logger

	id      string
	replica string
}

// New returns a client that works nothing before [Client.Start].
func New(d *db.DB, log *slog.Logger) (*Client, error) {
	c := &Client{db: d, workers: river.NewWorkers(), worked: newWorked(), log: log, id: id.New("worker")}
	Handle(c, func(ctx context.Context, _ purgeRequests) error {
		for {
			removed, err := idempotency.Purge(ctx, d.Pool(), purgeBatch)
			if err != nil || removed < purgeBatch {
				return err
			}
		}
	})
	c.tending.add("platform.job_lease", leaseRenew, c.tend, log)
	var err error
	c.river, err = river.NewClient(riverpgxv5.New(d.Pool()), &river.Config{
		ID:                          c.id,
		Schema:                      d.Module(),
		Logger:                      slog.New(atLeast{slog.LevelWarn, log.Handler()}),
		Workers:                     c.workers,
		Queues:                      map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers, FetchCooldown: fetchCooldown}},
		FetchPollInterval:           pollInterval,
		FetchCooldown:               notifyCooldown,
		JobTimeout:                  jobTimeout,
		MaxAttempts:                 maxAttempts,
		RetryPolicy:                 capped{},
		CompletedJobRetentionPeriod: keepCompleted,
		CancelledJobRetentionPeriod: keepCancelled,
		DiscardedJobRetentionPeriod: keepDiscarded,
		ReindexerIndexNames:         []string{}, // The module's role may not reindex.
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
// before Start. What a job calls it calls on behalf of whoever was the caller when it was inserted.
func Handle[A river.JobArgs](c *Client, work func(ctx context.Context, args A) error) {
	count := c.counted((*new(A)).Kind())
	river.AddWorker(c.workers, river.WorkFunc(func(ctx context.Context, job *river.Job[A]) error {
		ctx, err := onBehalf(ctx, job.JobRow)
		if err != nil {
			count(err)
			return err
		}
		ctx, span := startSpan(ctx, job.JobRow)
		err = errPanicked // Unless it comes back.
		defer func() {
			count(err)
			endSpan(span, err)
		}()
		err = work(ctx, job.Args)
		return err
	}))
}

// onBehalf returns the context of a job: on behalf of whoever was the caller when it was inserted.
func onBehalf(ctx context.Context, job *rivertype.JobRow) (context.Context, error) {
	var kept metadata
	if err := json.Unmarshal(job.Metadata, &kept); err != nil {
		return nil, fmt.Errorf("read the metadata of job %d: %w", job.ID, err)
	}
	return rpc.WithOrigin(ctx, kept.Origin)
}

// metadata is what stands in a job's metadata beside what River keeps there.
type metadata struct {
	Origin json.RawMessage `json:"cleave_origin,omitempty"`
}

// Insert adds a job in the transaction, to be worked at the given time; the zero time is at once.
func (c *Client) Insert(ctx context.Context, tx pgx.Tx, args river.JobArgs, at time.Time) error {
	kept, err := json.Marshal(metadata{rpc.Origin(ctx)})
	if err != nil {
		return fmt.Errorf("insert job %s: %w", args.Kind(), err)
	}
	if _, err := c.river.InsertTx(ctx, tx, args, &river.InsertOpts{ScheduledAt: at, Metadata: kept}); err != nil {
		return fmt.Errorf("insert job %s: %w", args.Kind(), err)
	}
	return nil
}

// Start begins to work jobs and to sweep. It returns at once.
func (c *Client) Start(ctx context.Context) error { return c.StartAs(ctx, "") }

// StartAs is Start under the name of a replica, which no other living process may have. What an earlier process of that name was
// running when it was killed is worked again at once; without a name that takes until the lease of the killed one has run out, some
// ten to twenty seconds.
func (c *Client) StartAs(ctx context.Context, replica string) error {
	// River stops hard when this context ends; Stop lets running jobs finish.
	ctx = context.WithoutCancel(ctx)
	if err := c.enlist(ctx, replica); err != nil {
		return fmt.Errorf("start the jobs of %s: %w", c.db.Module(), err)
	}
	c.tending.start(ctx)
	if err := c.river.Start(ctx); err != nil {
		return fmt.Errorf("start the jobs of %s: %w", c.db.Module(), err)
	}
	c.sweeps.start(ctx)
	return nil
}

// Stop takes no new job, begins no sweep, and waits for the running ones. When ctx is done it cancels them.
func (c *Client) Stop(ctx context.Context) error {
	c.sweeps.end()
	err := errors.Join(c.stopRiver(ctx), c.sweeps.wait(ctx))
	if c.tending.stop == nil {
		return err // It was never started.
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
	defer cancel()
	if err = errors.Join(err, c.tending.wait(last)); err != nil {
		return err // What still runs keeps the lease until that runs out.
	}
	return c.delist(last)
}

func (c *Client) stopRiver(ctx context.Context) error {
	if err := c.river.Stop(ctx); err == nil || ctx.Err() == nil {
		return err
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
	defer cancel()
	return c.river.StopAndCancel(hard)
}

// atLeast drops what River says below a level, and of work that was cut short.
type atLeast struct {
	level slog.Level
	slog.Handler
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

// Handle drops also what River says of its own work that a stop has cut short: nothing is wrong then.
func (h atLeast) Handle(ctx context.Context, record slog.Record) error {
	cut := false
	record.Attrs(func(a slog.Attr) bool {
		err, _ := a.Value.Any().(error)
		cut = errors.Is(err, context.Canceled) || a.Key == "error" && a.Value.String() == context.Canceled.Error()
		return !cut
	})
	if cut {
		return nil
	}
	return h.Handler.Handle(ctx, record)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.level, h.Handler.WithAttrs(attrs)}
}
func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.level, h.Handler.WithGroup(name)}
}
