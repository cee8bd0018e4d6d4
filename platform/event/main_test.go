package event_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// patience is after how long a test that hangs fails.
const patience = time.Minute

// The toy modules: alpha publishes, beta and gamma listen and write down what they hear.
var toys = []string{"alpha", "beta", "gamma"}

// migrations are those of every toy. Nothing keeps a row from being there twice.
var migrations = fstest.MapFS{"migrations/1_create.sql": {Data: []byte(`-- +goose Up
CREATE TABLE heard (number bigint GENERATED ALWAYS AS IDENTITY, id text NOT NULL, subject text NOT NULL, sequence bigint NOT NULL, text text NOT NULL);
CREATE TABLE thing (name text);
-- +goose Down
DROP TABLE heard;
DROP TABLE thing;
`)}}

// village is a database and the processes over it.
type village struct {
	url   string
	admin *pgxpool.Pool // of the superuser
	log   *slog.Logger

	mu    sync.Mutex
	homes map[string]string // the URLs of modules
}

func newVillage(t testing.TB) *village {
	t.Helper()
	v := &village{homes: map[string]string{}, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	v.url = v.database(t)
	var err error
	if v.admin, err = pgxpool.New(t.Context(), v.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.admin.Close)
	return v
}

// database returns the URL of a new database with the toys' schemas: in the cluster of the tests, or in the one that a benchmark shall
// be run on, because the tests' forgets everything in a power cut and so is faster than any that is used.
func (v *village) database(t testing.TB) string {
	prepare := func(ctx context.Context, url string) error {
		for _, name := range toys {
			d, err := db.Open(ctx, v.config(name, url))
			if err != nil {
				return err
			}
			d.Close()
		}
		return nil
	}
	if server := os.Getenv("CLEAVE_BENCH_DATABASE_URL"); server != "" {
		return benchmarkDatabase(t, server, prepare)
	}
	return postgrestest.Clone(t, "toys", prepare)
}

func (v *village) config(name, url string) db.Config {
	return db.Config{Module: name, URL: url, Migrations: migrations, Migrate: true, MaxConns: 8, Log: slog.New(slog.DiscardHandler)}
}

// toy is one replica of a toy module.
type toy struct {
	*event.Events
	DB     *db.DB
	Caller func(services ...*rpc.Service) *rpc.Caller
	// Stop ends the replica.
	Stop func()
}

// listener says what a toy listens to.
type listener struct {
	from event.From
	// refuse says why an event cannot be applied; nil for a listener that takes all.
	refuse func(ctx context.Context, e event.Event, text string) error
	// plant changes the events before they start.
	plant func(*event.Events)
	// intercept sees every call that the process is given.
	intercept []rpc.Interceptor
}

// start starts a process that holds one module. It is known to the others under its address, as long as it is the latest of that name.
func (v *village) start(t testing.TB, name string, l *listener) *toy {
	t.Helper()
	if l == nil {
		l = &listener{}
	}
	d, err := db.Open(t.Context(), v.config(name, v.url))
	if err != nil {
		t.Fatal(err)
	}
	log := v.log.With("module", name)
	server, err := rpc.NewServer(log, l.intercept...)
	if err != nil {
		t.Fatal(err)
	}
	directory := rpc.NewDirectory(server, []string{name}, func(peer string) rpc.Peer {
		return rpc.Peer{URL: "http://" + peer, Client: road{v, peer}}
	})
	jobs, err := job.New(d, log)
	if err != nil {
		t.Fatal(err)
	}
	m := &toy{DB: d, Caller: func(services ...*rpc.Service) *rpc.Caller { return directory.Caller(name, services) }}
	config := event.Config{DB: d, Jobs: jobs, Log: log, Caller: m.Caller}
	if l.from != "" {
		config.Listens = []event.Subscription{{Publisher: "alpha", Events: messages(&parityv1.LookRequest{}), From: l.from}}
	}
	if m.Events, err = event.New(config); err != nil {
		t.Fatal(err)
	}
	if l.from != "" {
		event.Handle(m.Events, func(ctx context.Context, tx pgx.Tx, e event.Event, r *parityv1.LookRequest) error {
			if l.refuse != nil {
				if err := l.refuse(ctx, e, r.GetCase()); err != nil {
					return err
				}
			}
			db.Defer(tx, "INSERT INTO heard (id, subject, sequence, text) VALUES ($1, $2, $3, $4)", e.ID, e.Subject, e.Sequence, r.GetCase())
			return nil
		})
	}
	if l.plant != nil {
		l.plant(m.Events)
	}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	for _, h := range m.Handlers() {
		if err := server.Handle(h); err != nil {
			t.Fatal(err)
		}
	}
	web := httptest.NewServer(server)
	v.mu.Lock()
	v.homes[name] = web.Listener.Addr().String()
	v.mu.Unlock()
	if err := jobs.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Events.Start()
	m.Stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		m.Events.Stop(ctx)
		if err := jobs.Stop(ctx); err != nil {
			t.Errorf("stop jobs: %v", err)
		}
		web.CloseClientConnections()
		web.Close()
		d.Close()
	})
	t.Cleanup(m.Stop)
	return m
}

// road leads to the process that a module lives in, if there is any.
type road struct {
	village *village
	module  string
}

func (r road) Do(request *http.Request) (*http.Response, error) {
	r.village.mu.Lock()
	home := r.village.homes[r.module]
	r.village.mu.Unlock()
	if home == "" {
		return nil, errors.New("nobody is there")
	}
	request.URL.Host = home
	return http.DefaultClient.Do(request)
}

// publish publishes an event in a transaction of its own.
func (m *toy) publish(ctx context.Context, subject string, sequence int64, text string) error {
	return m.DB.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return m.Publish(ctx, tx, subject, sequence, &parityv1.LookRequest{Case: text})
	})
}

func (m *toy) mustPublish(t testing.TB, subject string, sequence int64, text string) {
	t.Helper()
	if err := m.publish(t.Context(), subject, sequence, text); err != nil {
		t.Fatal(err)
	}
}

// heard returns the texts that a listener has written down, in that order.
func (v *village) heard(t testing.TB, module string) []string {
	t.Helper()
	return query[string](t, v, "SELECT text FROM "+module+".heard ORDER BY number")
}

// hears waits until a listener has written down these texts, in this order.
func (v *village) hears(t testing.TB, module string, want ...string) {
	t.Helper()
	var got []string
	v.eventually(t, func() bool {
		got = v.heard(t, module)
		return fmt.Sprint(got) == fmt.Sprint(want)
	}, func() string { return fmt.Sprintf("%s hears %q, and not %q", module, want, got) })
}

// eventually waits until the condition holds.
func (v *village) eventually(t testing.TB, holds func() bool, what func() string) {
	t.Helper()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("waited %s in vain until %s", patience, what())
		}
	}
}

// subscribed waits until a module listens to alpha and returns its subscription.
func (v *village) subscribed(t testing.TB, module string) (id int64) {
	t.Helper()
	v.eventually(t, func() bool {
		ids := query[int64](t, v, "SELECT id FROM alpha.cleave_subscriber WHERE name = $1", module)
		if len(ids) > 0 {
			id = ids[0]
		}
		return len(ids) > 0
	}, func() string { return module + " has subscribed" })
	return id
}

// query returns the only column of the rows that a statement yields, run by the superuser.
func query[T any](t testing.TB, v *village, statement string, args ...any) []T {
	t.Helper()
	rows, err := v.admin.Query(t.Context(), statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return list
}

func (v *village) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if _, err := v.admin.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}
