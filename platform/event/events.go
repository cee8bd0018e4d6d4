package event

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Config says for which module, and with what.
type Config struct {
	DB   *db.DB
	Jobs *job.Client
	Log  *slog.Logger
	// Listens is what the module declares to listen to.
	Listens []Subscription
	// Caller returns what the module calls the services of another with.
	Caller func(services ...*rpc.Service) *rpc.Caller
}

// Events is what a module publishes and listens to.
type Events struct {
	db      *db.DB
	jobs    *job.Client
	log     *slog.Logger
	module  string
	owner   string // Tells this process from others in leases.
	listens map[string]Subscription
	caller  func(services ...*rpc.Service) *rpc.Caller
	metrics metrics

	handlers map[string]handler // by type
	err      error

	deliveries deliveries
	running    sync.WaitGroup
	stopping   context.Context // Done when nothing new is to be begun.
	beginStop  context.CancelFunc
	work       context.Context // Done when what runs is to end.
	cancel     context.CancelFunc

	// Known mistakes: to read past transactions that are still writing, and to forget what has been applied.
	ignoreXmin, skipInbox bool
}

// handler applies one event.
type handler func(ctx context.Context, tx pgx.Tx, e Event, data []byte) error

// Message is a pointer to a generated message.
type Message[M any] interface {
	*M
	proto.Message
}

// New returns the events of a module. Nothing is delivered before [Events.Start].
func New(c Config) (*Events, error) {
	e := &Events{
		db: c.DB, jobs: c.Jobs, log: c.Log, module: c.DB.Module(), owner: id.New("dlv"), caller: c.Caller, metrics: newMetrics(),
		listens: map[string]Subscription{}, handlers: map[string]handler{},
		ignoreXmin: fault.Bug("event-ignore-xmin"), skipInbox: fault.Bug("event-skip-inbox"),
	}
	for _, s := range c.Listens {
		if _, twice := e.listens[s.Publisher]; twice {
			return nil, fmt.Errorf("module %s lists two subscriptions to %s in its module.go: make them one", e.module, s.Publisher)
		}
		switch {
		case s.Publisher == "" || s.Publisher == e.module:
			return nil, fmt.Errorf("module %s lists a subscription to %q in its module.go: name another module", e.module, s.Publisher)
		case len(s.Events) == 0:
			return nil, fmt.Errorf("module %s listens to %s but to none of its events: name them in its module.go", e.module, s.Publisher)
		case s.From.wire() == 0:
			return nil, fmt.Errorf("module %s listens to %s from nowhere: set From to event.Now or event.Beginning in its module.go", e.module, s.Publisher)
		}
		e.listens[s.Publisher] = s
		e.metrics.duplicates.WithLabelValues(s.Publisher) // From 0 on.
	}
	e.stopping, e.beginStop = context.WithCancel(context.Background())
	e.work, e.cancel = context.WithCancel(context.Background())
	e.deliveries.init(e)
	job.Handle(e.jobs, e.redeliver)
	return e, nil
}

// Handle says what the module does about an event. fn runs in a transaction in which the event is also noted as applied: its effects
// commit together with that note, and so happen once however often the event is delivered. An error undoes them, and the event comes
// again by itself, with growing pauses; fn calls no other module. It runs for at most five seconds, often in one transaction with
// other events, and leaves no trace outside of tx. It must be called in Build, for each event that module.go lists.
func Handle[M any, P Message[M]](events *Events, fn func(ctx context.Context, tx pgx.Tx, e Event, m P) error) {
	kind := TypeOf(P(new(M)))
	if _, twice := events.handlers[kind]; twice {
		events.err = errors.Join(events.err, fmt.Errorf("module %s handles %s twice", events.module, kind))
	}
	events.handlers[kind] = func(ctx context.Context, tx pgx.Tx, e Event, data []byte) error {
		m := P(new(M))
		if err := proto.Unmarshal(data, m); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
		return fn(ctx, tx, e, m)
	}
}

// Check says how what the module handles differs from what it declares to listen to. The host asks when the module is built.
func (e *Events) Check() error {
	declared := map[string]bool{}
	for _, s := range e.listens {
		for _, kind := range s.Types() {
			declared[kind] = true
			if e.handlers[kind] == nil {
				return errors.Join(e.err, fmt.Errorf("module %s declares that it listens to %s but does not handle it: call event.Handle in Build", e.module, kind))
			}
		}
	}
	for kind := range e.handlers {
		if !declared[kind] {
			return errors.Join(e.err, fmt.Errorf("module %s handles %s but does not declare it: add it to Listens in its module.go", e.module, kind))
		}
	}
	return e.err
}

// Handlers returns what the module serves for those who listen to it, those whom it listens to, and the operator.
func (e *Events) Handlers() []rpc.Handler {
	return []rpc.Handler{
		eventv1cleave.NewSubscriptionServiceHandler(subscriptionService{e}).Of(e.module),
		eventv1cleave.NewDeliveryServiceHandler(deliveryService{e}).Of(e.module),
		eventv1cleave.NewEventServiceHandler(operatorService{e}).Of(e.module),
	}
}

// Start subscribes to what the module listens to, and begins to deliver to those who listen to it. It returns at once.
func (e *Events) Start() {
	for _, publisher := range slices.Sorted(maps.Keys(e.listens)) {
		e.running.Go(func() { e.subscribe(e.listens[publisher]) })
	}
	e.deliveries.start()
}

// Stop begins no delivery any more and waits for those under way. When ctx is done it cancels them, and waits until they have ended.
func (e *Events) Stop(ctx context.Context) {
	e.beginStop()
	e.deliveries.stop()
	defer context.AfterFunc(ctx, e.cancel)()
	e.running.Wait()
	e.cancel()
}
