package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/health"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/person"
	"github.com/cleave-go/cleave/platform/resilience"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
	"github.com/cleave-go/cleave/platform/telemetry"
)

// unit is a program at work: the modules that share a process.
type unit struct {
	Program
	house  module.Map
	values config.Values
	log    *slog.Logger

	certificates certificates
	telemetry    *telemetry.Telemetry

	network *resilience.Network
	remotes map[string]*resilience.Peer // Modules that are in other units.

	metrics  *prometheus.Registry
	observer observer
	health   *health.Health
	operator *rpc.Server // The services for the operator's port.
	jobs     jobsPage
	failed   chan error // The first part that fails stops the unit.
	stoppers []func(context.Context)
	draining context.Context // Done when the unit is not ready any more, because it is about to stop.
	stopping context.Context // Done when the unit has begun to stop.
	replica  string          // What no other living process is called, and its successor after a kill is; "" if there is no such name.
}

// fail reports that a part has failed.
func (u *unit) fail(err error) {
	select {
	case u.failed <- err:
	default:
	}
}

// onStop adds something to do when the unit stops. What was added last is done first.
func (u *unit) onStop(stop func(context.Context)) { u.stoppers = append(u.stoppers, stop) }

// stop does what onStop collected, in reverse, within the time that an operator allows.
func (u *unit) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), u.values.Duration("CLEAVE_SHUTDOWN_TIMEOUT"))
	defer cancel()
	for i := len(u.stoppers) - 1; i >= 0; i-- {
		u.stoppers[i](ctx)
	}
	u.stoppers = nil
}

// serve runs the unit until ctx ends or a part fails.
func (u *unit) serve(ctx context.Context) error {
	u.failed = make(chan error, 1)
	draining, beginDrain := context.WithCancel(context.Background())
	defer beginDrain()
	stopping, beginStop := context.WithCancel(context.Background())
	defer beginStop()
	u.draining, u.stopping = draining, stopping
	defer u.stop()
	began := time.Now()
	if err := u.openTelemetry(ctx); err != nil {
		return err
	}
	if err := u.openCertificates(); err != nil {
		return err
	}
	if err := u.openNetwork(); err != nil {
		return err
	}
	ports, err := u.listen()
	if err != nil {
		return err
	}
	if err := u.checkOrigins(ports.public); err != nil {
		return err
	}
	if u.operator, err = rpc.NewServer(u.log, u.endStreams); err != nil {
		return err
	}
	// Only one process at a time has this address of this host.
	if host, err := os.Hostname(); err == nil {
		u.replica = host + " " + ports.admin.Addr().String()
	}
	u.serveHTTP(u.newServer(u.adminHandler(ports.admin)), ports.admin)
	u.onStop(func(context.Context) { u.health.End() })
	databases, err := u.openDatabases(ctx)
	if err != nil {
		return err
	}
	u.onStop(u.telemetry.StopMetrics)
	server, err := rpc.NewServer(u.log, u.endStreams)
	if err != nil {
		return err
	}
	u.metrics.MustRegister(server.Metrics())
	directory := rpc.NewDirectory(server, u.names(), u.peers())
	u.health.Doing("starting: building the modules")
	if err := u.build(ctx, server, directory, databases); err != nil {
		return err
	}
	if databases.fresh && u.Seed != nil {
		u.health.Doing("starting: filling the new database")
		if err := databases.seed(ctx, func(ctx context.Context) error { return u.Seed(ctx, directory) }); err != nil {
			return err
		}
	}
	if ports.internal != nil {
		u.serveInternal(ports.internal, server)
	}
	if ports.public != nil {
		u.servePublic(ports.public, u.edge(ports.public, server))
	}
	u.onStop(func(context.Context) {
		beginStop()
		u.health.End()
	})
	u.health.Ready()
	u.log.Info("ready", "serves", u.contents(), "public", url(ports.public, u.certificates.public),
		"internal", url(ports.internal, u.certificates.units), "admin", url(ports.admin, nil), "after", time.Since(began).Round(time.Millisecond).String())

	select {
	case <-ctx.Done():
		u.log.Info("stopping")
	case err = <-u.failed:
		u.log.Error("stopping because a part failed", "error", err)
	}
	u.health.Doing("stopping")
	beginDrain()
	// Balancers learn from /readyz that no more is to be sent here; until they have, requests are served.
	time.Sleep(u.values.Duration("CLEAVE_DRAIN_DELAY"))
	u.stop()
	if err == nil {
		u.log.Info("stopped")
	}
	return err
}

// seed fills the databases without opening a port.
func (u *unit) seed(ctx context.Context) error {
	u.failed = make(chan error, 1)
	defer u.stop()
	if err := u.openCertificates(); err != nil {
		return err
	}
	if err := u.openNetwork(); err != nil {
		return err
	}
	databases, err := u.openDatabases(ctx)
	if err != nil {
		return err
	}
	server, err := rpc.NewServer(u.log)
	if err != nil {
		return err
	}
	u.operator = server // No port is open.
	directory := rpc.NewDirectory(server, u.names(), u.peers())
	if err := u.build(ctx, server, directory, databases); err != nil {
		return err
	}
	if err := u.Seed(ctx, directory); err != nil {
		return err
	}
	u.log.Info("the demo catalogue is there")
	return nil
}

// names returns the names of the modules in this unit.
func (u *unit) names() []string {
	names := []string{}
	for _, m := range u.Modules {
		names = append(names, m.Name)
	}
	return names
}

// build makes the modules and starts their jobs.
func (u *unit) build(ctx context.Context, server *rpc.Server, directory *rpc.Directory, databases *databases) error {
	u.observe()
	var all []*job.Client
	var driven []*saga.Client
	var events []*event.Events
	for _, m := range u.Modules {
		log := u.log.With("module", m.Name)
		jobs, err := job.New(databases.byModule[m.Name], log)
		if err != nil {
			return err
		}
		tasks := module.NewTasks(log)
		sagas := saga.New(databases.byModule[m.Name], jobs, tasks, log)
		u.metrics.MustRegister(sagas.Metrics())
		host := &module.Host{
			Log: log, Config: u.values, DB: databases.byModule[m.Name], Jobs: jobs, Sagas: sagas, Tasks: tasks, Calls: directory.Caller(m.Name, m.Calls),
			People: person.New(databases.byModule[m.Name], m.Holds), Fallbacks: module.NewFallbacks(m), Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"module": m.Name}, u.metrics),
		}
		host.Events, err = event.New(event.Config{
			DB: host.DB, Jobs: jobs, Log: log, Listens: m.Listens,
			Caller: func(services ...*rpc.Service) *rpc.Caller { return directory.Caller(m.Name, services) },
		})
		if err != nil {
			return err
		}
		handlers, err := m.Build(host)
		if err != nil {
			return fmt.Errorf("build module %s: %w", m.Name, err)
		}
		if err := errors.Join(host.Calls.Err(), host.Fallbacks.Check(), m.CheckHandlers(handlers), host.Events.Check()); err != nil {
			return err
		}
		for _, h := range slices.Concat(handlers, host.Events.Handlers(), sagas.Handlers(), host.People.Handlers()) {
			home := server
			if h.Service.Operator() {
				home = u.operator
			}
			if err := home.Handle(h); err != nil {
				return err
			}
		}
		u.onStop(tasks.Stop)
		u.jobs.add(m.Name, jobs)
		host.Metrics.MustRegister(host.Fallbacks.Metrics())
		for _, service := range m.Serves {
			u.health.Serve(service.Name, databaseCheck(m.Name))
		}
		u.measure(&observed{db: host.DB, jobs: jobs, events: host.Events, sagas: sagas, log: log})
		all = append(all, jobs)
		driven = append(driven, sagas)
		events = append(events, host.Events)
	}
	// Jobs call other modules, so they start when all are built; and they stop before the tasks, side by side.
	u.onStop(func(ctx context.Context) {
		// A job renews the leases of sagas. So before it ends sagas do: at their next boundary, and another process goes on.
		for _, sagas := range driven {
			sagas.Stop()
		}
		var waiting sync.WaitGroup
		for _, jobs := range all {
			waiting.Go(func() {
				if err := jobs.Stop(ctx); err != nil {
					u.log.Warn("jobs did not stop in time", "error", err)
				}
			})
		}
		waiting.Wait()
	})
	for _, jobs := range all {
		if err := jobs.StartAs(ctx, u.replica); err != nil {
			return err
		}
	}
	for _, e := range events {
		u.onStop(e.Stop)
		e.Start()
	}
	return nil
}

// edge returns the handler of the public port.
func (u *unit) edge(listener net.Listener, server *rpc.Server) *edge.Edge {
	local := u.local()
	c := edge.Config{Services: u.Edge, OpenAPI: u.OpenAPI, Log: u.log, Trace: u.telemetry.Traces(), Draining: u.draining, Stopping: u.stopping, Route: func(name string) http.Handler {
		if local[name] {
			return server
		}
		return u.forward(name)
	}}
	c.Authenticate, c.Issuer = u.authenticate(listener), u.signsIn()
	u.guard(listener, &c)
	door := edge.New(c)
	u.metrics.MustRegister(door.Metrics()...)
	return door
}
