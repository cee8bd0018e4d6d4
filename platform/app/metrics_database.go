package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/health"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/saga"
)

// lookEvery is how old the figures may be that a database is asked for, so that many who scrape cost no more than one.
const lookEvery = 10 * time.Second

// observed is a module whose database is looked at.
type observed struct {
	db     *db.DB
	jobs   *job.Client
	events *event.Events
	sagas  *saga.Client
	log    *slog.Logger

	recent *health.Answer[look]
	silent bool // The latest look has not seen all.
}

// look is what a database has said of itself. What it has not said is nil.
type look struct {
	up     bool // It has said something.
	jobs   *job.Look
	sagas  *[]saga.Place
	events *[]event.Look
}

// observer looks at the databases of a unit when somebody scrapes, and not otherwise. It looks at each by a few statements, on a
// connection apart from the module's pool, at most every ten seconds, and for no longer than db.WatchTimeout.
type observer struct {
	budget  float64
	mu      sync.Mutex
	modules []*observed
}

func (o *observer) add(m *observed) {
	m.recent = health.NewAnswer(lookEvery, db.WatchTimeout, m.look)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.modules = append(o.modules, m)
}

// look asks the database. One statement that fails takes nothing from the others; that of the events, which may read most, is the last.
func (m *observed) look(ctx context.Context) look {
	var found look
	var failed error
	found.jobs = ask(ctx, m.db, m.jobs.Look, &found.up, &failed)
	found.sagas = ask(ctx, m.db, m.sagas.Look, &found.up, &failed)
	found.events = ask(ctx, m.db, m.events.Look, &found.up, &failed)
	if err := failed; (err == nil) == m.silent {
		m.silent = err != nil
		if m.silent {
			m.log.Warn("the database of a module does not tell all of how it is: those figures are left out", "error", err)
		} else {
			m.log.Info("the database of a module tells again how it is")
		}
	}
	return found
}

// ask asks the database one thing, and returns nil if it does not say that.
func ask[T any](ctx context.Context, d *db.DB, queue func(*pgx.Batch) *T, up *bool, failed *error) *T {
	var batch pgx.Batch
	said := queue(&batch)
	err := d.Watch().SendBatch(ctx, &batch).Close()
	*up = *up || answered(err)
	if err != nil {
		*failed = errors.Join(*failed, err)
		return nil
	}
	return said
}

// answered reports whether a database is there that answers a statement like this: also one that has taken too long for it is.
func answered(err error) bool {
	var refused *pgconn.PgError
	return err == nil || errors.As(err, &refused) && refused.Code == "57014"
}

var (
	eventLag        = gauge("cleave_event_lag", "Events of the module that a subscriber wants and has not got, at most 100000 of all subscribers together, or 20000 of each.", "module", "subscriber")
	eventLagSeconds = gauge("cleave_event_lag_seconds", "Age of the oldest event of the module that a subscriber wants and has not got; 0 if there is none.", "module", "subscriber")
	eventFailed     = gauge("cleave_event_failed", "Events that the module has refused: retrying, or kept for a person to decide; at most 10000.", "module", "publisher", "state")
	jobsNow         = gauge("cleave_jobs", "Jobs of the module by state, at most 10000 of each; discarded ones wait for a person to decide.", "module", "state")
	jobAge          = gauge("cleave_job_age_seconds", "How long the oldest job of the module has been waiting that is due; 0 if there is none.", "module")
	sagasNow        = gauge("cleave_sagas", "Open sagas of the module by the step where they are: running, waiting to be tried again, or stuck until a person looks; the oldest 10000 of all.", "module", "kind", "step", "state")
	sagaAge         = gauge("cleave_saga_age_seconds", "Age of the oldest open saga at a step, since it began; 0 if there is none.", "module", "kind", "step")
	databaseUp      = gauge("cleave_db_up", "1 if the module's database has answered when it was looked at last, in the last ten seconds.", "module")
	poolCount       = gauge("db_client_connections", "Connections of the module to its database: used, or idle.", "db_client_connection_pool_name", "db_client_connection_state")
	poolMax         = gauge("db_client_connection_max", "How many connections to its database the module may have.", "db_client_connection_pool_name")
	poolWait        = gauge("db_client_connection_wait_seconds_total", "How long, in sum, statements of the module have waited for a connection because none was idle.", "db_client_connection_pool_name")
	poolBudget      = gauge("cleave_db_connection_budget", "Connections that this process may have, divided among its modules: CLEAVE_DATABASE_MAX_CONNS.")
)

// Describe is of prometheus.Collector.
func (o *observer) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		eventLag, eventLagSeconds, eventFailed, jobsNow, jobAge, sagasNow, sagaAge, databaseUp, poolCount, poolMax, poolWait, poolBudget,
	} {
		descs <- desc
	}
}

// Collect is of prometheus.Collector. It looks at all databases side by side.
func (o *observer) Collect(metrics chan<- prometheus.Metric) {
	set := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	set(poolBudget, o.budget)
	o.mu.Lock()
	modules := o.modules[:len(o.modules):len(o.modules)]
	o.mu.Unlock()
	var looking sync.WaitGroup
	for _, m := range modules {
		looking.Go(func() {
			found, _ := m.recent.Get(context.Background()) // It is bounded.
			name := m.db.Module()
			set(databaseUp, one(found.up), name)
			found.collect(name, set)
		})
		pool, name := m.db.Pool().Stat(), m.db.Module()
		set(poolCount, float64(pool.AcquiredConns()), name, "used")
		set(poolCount, float64(pool.IdleConns()), name, "idle")
		set(poolMax, float64(pool.MaxConns()), name)
		metrics <- prometheus.MustNewConstMetric(poolWait, prometheus.CounterValue, pool.EmptyAcquireWaitTime().Seconds(), name)
	}
	looking.Wait()
}

// collect tells what a database has said. What it has not said is left out.
func (l look) collect(module string, set func(desc *prometheus.Desc, value float64, labels ...string)) {
	if l.jobs != nil {
		for state, count := range l.jobs.Counts {
			set(jobsNow, float64(count), module, state)
		}
		set(jobAge, l.jobs.Waiting.Seconds(), module)
	}
	if l.sagas != nil {
		for _, s := range *l.sagas {
			set(sagasNow, float64(s.Running), module, s.Kind, s.Step, "running")
			set(sagasNow, float64(s.Waiting), module, s.Kind, s.Step, "waiting")
			set(sagasNow, float64(s.Stuck), module, s.Kind, s.Step, "stuck")
			set(sagaAge, s.Oldest.Seconds(), module, s.Kind, s.Step)
		}
	}
	if l.events != nil {
		for _, s := range *l.events {
			set(eventLag, float64(s.Events), module, s.Subscriber)
			set(eventLagSeconds, s.Oldest.Seconds(), module, s.Subscriber)
			set(eventFailed, float64(s.Retrying), s.Subscriber, module, "retrying")
			set(eventFailed, float64(s.Kept), s.Subscriber, module, "kept")
		}
	}
}

// one is 1 for what is true.
func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
