// Package moduletest builds modules in a test as a program builds them: over a database of their own, and behind the seam.
//
// A test names the modules that it needs and gets clients of their services. What another module would have to do wrong, a fake
// does: a [module.Module] without migrations, whose Build returns the fake's handler; it gets no database.
//
// It owns the wiring of a test. It does not own PostgreSQL (platform/postgrestest) or what a program does beyond building modules
// (platform/app).
package moduletest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/person"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

const (
	// Patience is after how long a test that hangs fails. No test that passes waits for it.
	Patience = 2 * time.Minute
	// maxConns is how many connections a module gets.
	maxConns = 8
)

// House is a set of modules at work in a test.
type House struct {
	// URL is the superuser's URL of the database, to look at what modules keep to themselves, or to change it.
	URL string
	// Hosts are what the modules were built with, by name.
	Hosts map[string]*module.Host

	directory *rpc.Directory
	server    *rpc.Server
	admin     *pgxpool.Pool // of the superuser
	log       *slog.Logger

	statements statements
}

// Start builds modules and starts their jobs. Everything is stopped and closed at the end of the test. TestMain must be
// postgrestest.Main.
func Start(t testing.TB, modules ...module.Module) *House {
	t.Helper()
	return StartWith(t, nil, modules...)
}

// StartWith is Start with interceptors around every call, which can make one fail before or after it was carried out.
func StartWith(t testing.TB, interceptors []rpc.Interceptor, modules ...module.Module) *House {
	t.Helper()
	h := &House{Hosts: map[string]*module.Host{}, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	databases := h.open(t, modules)
	server, err := rpc.NewServer(h.log, interceptors...)
	if err != nil {
		t.Fatal(err)
	}
	h.server = server
	var names []string
	listened := map[string]bool{}
	for _, m := range modules {
		names = append(names, m.Name)
		for _, s := range m.Listens {
			listened[s.Publisher] = true
		}
	}
	h.directory = rpc.NewDirectory(server, names, func(name string) rpc.Peer {
		if listened[name] { // Its events never come, that is all.
			return rpc.Peer{URL: "http://" + name, Client: absent{}}
		}
		t.Fatalf("a module calls %s, which is not part of this test", name)
		return rpc.Peer{}
	})
	var jobs []*job.Client
	var events []*event.Events
	for _, m := range modules {
		host, err := h.build(m, databases[m.Name])
		if err != nil {
			t.Fatal(err)
		}
		h.Hosts[m.Name] = host
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), Patience)
			defer cancel()
			if host.Sagas != nil {
				host.Sagas.Stop()
			}
			host.Tasks.Stop(ctx)
		})
		if host.Jobs != nil {
			jobs = append(jobs, host.Jobs)
			events = append(events, host.Events)
		}
	}
	h.work(t, jobs)
	for _, e := range events {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), Patience)
			defer cancel()
			e.Stop(ctx)
		})
		e.Start()
	}
	return h
}

// absent is a module that is not part of the test.
type absent struct{}

func (absent) Do(*http.Request) (*http.Response, error) {
	return nil, errors.New("not part of this test")
}

// open opens the database of each module that has migrations, all of them copies of one that was migrated once.
func (h *House) open(t testing.TB, modules []module.Module) map[string]*db.DB {
	t.Helper()
	var configs []db.Config
	var keys []string
	for _, m := range modules {
		if m.Migrations == nil {
			continue
		}
		sum, err := fingerprint(m.Migrations)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, m.Name+" "+sum)
		configs = append(configs, db.Config{Module: m.Name, Migrations: m.Migrations, Migrate: true, MaxConns: maxConns, Tracer: &h.statements, Log: h.log})
	}
	if len(configs) == 0 {
		return nil
	}
	sort.Strings(keys)
	h.URL = postgrestest.Clone(t, strings.Join(keys, ","), func(ctx context.Context, url string) error {
		databases, err := openAll(ctx, url, configs)
		closeAll(databases)
		return err
	})
	var err error
	if h.admin, err = pgxpool.New(t.Context(), h.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.admin.Close)
	databases, err := openAll(t.Context(), h.URL, configs)
	t.Cleanup(func() { closeAll(databases) })
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*db.DB{}
	for _, d := range databases {
		byName[d.Module()] = d
	}
	return byName
}

func openAll(ctx context.Context, url string, configs []db.Config) ([]*db.DB, error) {
	opened := make([]*db.DB, len(configs))
	group, ctx := errgroup.WithContext(ctx)
	for i, c := range configs {
		group.Go(func() (err error) {
			c.URL = url
			opened[i], err = db.Open(ctx, c)
			return err
		})
	}
	return opened, group.Wait()
}

func closeAll(databases []*db.DB) {
	for _, d := range databases {
		if d != nil {
			d.Close()
		}
	}
}

// fingerprint tells one set of migrations from another.
func fingerprint(migrations fs.FS) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(migrations, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(migrations, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content)
		return err
	})
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), err
}

// build makes one module and serves it.
func (h *House) build(m module.Module, database *db.DB) (*module.Host, error) {
	values, err := config.Load(m.Settings, func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	log := h.log.With("module", m.Name)
	host := &module.Host{
		Log: log, Config: values, DB: database, Tasks: module.NewTasks(log), Calls: h.directory.Caller(m.Name, m.Calls), Fallbacks: module.NewFallbacks(m),
		Metrics: prometheus.NewRegistry(),
	}
	if database != nil {
		if host.Jobs, err = job.New(database, log); err != nil {
			return nil, err
		}
		host.Sagas = saga.New(database, host.Jobs, host.Tasks, log)
		host.People = person.New(database, m.Holds)
		host.Events, err = event.New(event.Config{
			DB: database, Jobs: host.Jobs, Log: log, Listens: m.Listens,
			Caller: func(services ...*rpc.Service) *rpc.Caller { return h.directory.Caller(m.Name, services) },
		})
		if err != nil {
			return nil, err
		}
	}
	handlers, err := m.Build(host)
	if err != nil {
		return nil, fmt.Errorf("build module %s: %w", m.Name, err)
	}
	if err := errors.Join(host.Calls.Err(), host.Fallbacks.Check(), m.CheckHandlers(handlers)); err != nil {
		return nil, err
	}
	if host.Events != nil {
		if err := host.Events.Check(); err != nil {
			return nil, err
		}
		handlers = slices.Concat(handlers, host.Events.Handlers(), host.Sagas.Handlers(), host.People.Handlers())
	}
	for _, handler := range handlers {
		if err := h.server.Handle(handler); err != nil {
			return nil, err
		}
	}
	return host, nil
}

// work starts the jobs when every module is there, because they call others; they stop first.
func (h *House) work(t testing.TB, all []*job.Client) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		var waiting sync.WaitGroup
		for _, jobs := range all {
			waiting.Go(func() {
				if err := jobs.Stop(ctx); err != nil {
					t.Errorf("stop jobs: %v", err)
				}
			})
		}
		waiting.Wait()
	})
	for _, jobs := range all {
		if err := jobs.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Caller returns what clients of the services are made with: they call as the given module. "edge" calls for people.
func (h *House) Caller(name string, services ...*rpc.Service) *rpc.Caller {
	return h.directory.Caller(name, services)
}

// Handler is what serves the modules over HTTP, as the handler of an edge's route.
func (h *House) Handler() http.Handler { return h.server }

// As returns a context in which the principal with this subject calls, in the given roles and with every scope; nobody if the subject
// is empty. It ends with the test, or when the test hangs.
func As(t testing.TB, subject string, roles ...string) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	t.Cleanup(cancel)
	principal := rpc.Principal{Subject: subject, Roles: roles, Scopes: everyScope()}
	return rpc.WithMetadata(ctx, rpc.Metadata{Principal: principal, CorrelationID: t.Name()})
}

// everyScope returns the scopes of all contracts that the test links.
var everyScope = sync.OnceValue(func() (scopes []string) {
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				access, _ := proto.GetExtension(methods.Get(j).Options(), platformv1.E_Access).(*platformv1.Access)
				if access.GetScope() != "" {
					scopes = append(scopes, access.GetScope())
				}
			}
		}
		return true
	})
	slices.Sort(scopes)
	return slices.Compact(scopes)
})

// Eventually waits until the condition holds, for what tells nobody that it has happened. The test fails if it does not.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(Patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s in vain until %s", Patience, what)
		}
	}
}
