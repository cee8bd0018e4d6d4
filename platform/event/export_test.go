package event

import (
	"context"
	"log/slog"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
)

// Operator is what the operator's port serves.
func (e *Events) Operator() eventv1connect.EventServiceHandler { return operatorService{e} }

// Attempts returns how often the worker of a subscriber has found what it found before.
func (e *Events) Attempts(subscriber string) int {
	e.deliveries.mu.Lock()
	defer e.deliveries.mu.Unlock()
	for _, w := range e.deliveries.workers {
		if w.subscriber == subscriber {
			return int(w.attempts.Load())
		}
	}
	return 0
}

// IgnoreXmin and SkipInbox plant the known mistakes.
func (e *Events) IgnoreXmin() { e.ignoreXmin = true }
func (e *Events) SkipInbox()  { e.skipInbox = true }

// TakeLease takes the lease of a subscription as a process of its own would that dies then.
func (e *Events) TakeLease(ctx context.Context, subscription int64) (move func(context.Context) error, err error) {
	zombie := &Events{db: e.db, jobs: e.jobs, owner: "zombie"}
	l, at, err := zombie.acquire(ctx, subscription)
	if err != nil || l == nil {
		return nil, err
	}
	return func(ctx context.Context) error { return l.advance(ctx, at, true, nil) }, nil
}

// BatchOf returns how many of the events are handed over at once.
func BatchOf(events []*eventv1.Event) int {
	all := make([]logged, len(events))
	for i, event := range events {
		all[i].event = event
	}
	return batchOf(all)
}

// Call hands events to a subscriber. It returns how many were refused, and how many were dealt with.
func Call(ctx context.Context, client eventv1connect.DeliveryServiceClient, events ...*eventv1.Event) (refused, handled int, err error) {
	all := make([]logged, len(events))
	for i, event := range events {
		all[i].event = event
	}
	e := &Events{module: "alpha", log: slog.New(slog.DiscardHandler)}
	failures, handled, err := e.call(ctx, client, "beta", all, false, nil)
	return len(failures), handled, err
}

var ErrLost = errLost

// RedeliveryKind is the kind of the jobs that deliver refused events again.
const RedeliveryKind = redeliveryKind

// ByIndex and ReadWindow are what reads the log.
var ByIndex, ReadWindow = byIndex, readWindow

// LookSubscribers is what a look asks the database.
var LookSubscribers = lookSubscribers
