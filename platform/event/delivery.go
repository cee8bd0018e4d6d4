package event

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/rpc"
)

// How events are delivered.
const (
	// sweepInterval is after how long an event is found whose publisher could tell nobody here.
	sweepInterval = time.Second
	// maxSubscribers bounds who can listen to a module.
	maxSubscribers = 200
	// batchEvents and batchBytes bound what is handed over at once.
	batchEvents = 100
	batchBytes  = 1 << 20
	// deliverTimeout bounds a delivery.
	deliverTimeout = 20 * time.Second
	// farBehind is how many events that the subscriber does not want are passed over before the cursor is written down.
	farBehind = 10_000
)

// The pauses of a worker: at first, and at most.
var (
	// While an older transaction is still writing.
	blockedPause = pause{2 * time.Millisecond, 100 * time.Millisecond}
	// While another process delivers.
	leasedPause = pause{5 * time.Millisecond, time.Second}
	// While the subscriber cannot be reached.
	failedPause = pause{100 * time.Millisecond, 15 * time.Second}
)

// pause grows by a half with each attempt in vain.
type pause struct{ first, most time.Duration }

func (p pause) after(attempts int) time.Duration {
	d := p.first
	for range attempts {
		if d = d * 3 / 2; d >= p.most {
			d = p.most
			break
		}
	}
	return d/2 + rand.N(d)
}

// deliveries are the workers of a module's subscribers.
type deliveries struct {
	events *Events
	hurry  func() // has the subscriptions be looked at

	mu      sync.Mutex
	started bool
	workers map[int64]*worker // by subscription
}

func (d *deliveries) init(e *Events) {
	d.events, d.workers = e, map[int64]*worker{}
	d.hurry = e.jobs.Every("platform.deliver_events", sweepInterval, d.sweep)
}

// start lets the workers begin. Those of the subscriptions that are there begin with the first sweep.
func (d *deliveries) start() {
	d.mu.Lock()
	d.started = true
	d.mu.Unlock()
	d.hurry()
}

// stop lets no worker begin any more.
func (d *deliveries) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started = false
}

// published has the workers look for events whose subscribers listen to those of a type, as far as the last sweep knows. The others pass
// over it with a later sweep. It does not wait.
func (d *deliveries) published(kind string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		if slices.Contains(w.types, kind) {
			w.nudge()
		}
	}
}

// come has the worker of a subscriber that says it is there try at once.
func (d *deliveries) come(subscriber string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		if w.subscriber == subscriber {
			select {
			case w.there <- struct{}{}:
			default:
			}
		}
	}
}

// sweep makes sure that each subscription has a worker, and wakes those that are behind. It is all that an idle module costs.
func (d *deliveries) sweep(ctx context.Context) error {
	rows, err := d.events.db.Pool().Query(ctx, `SELECT s.id, s.name, ARRAY(SELECT jsonb_object_keys(s.types)), s.era, s.transaction, s.position, coalesce(e.era, 0), coalesce(e.transaction, '0'), coalesce(e.position, 0)
		FROM cleave_subscriber s LEFT JOIN (SELECT era, transaction, position FROM cleave_event ORDER BY era DESC, transaction DESC, position DESC LIMIT 1) e ON true
		ORDER BY s.name LIMIT $1`, maxSubscribers)
	if err != nil {
		return fmt.Errorf("read the subscriptions: %w", err)
	}
	type found struct {
		id      int64
		name    string
		types   []string
		at, end cursor
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f found, err error) {
		err = row.Scan(&f.id, &f.name, &f.types, &f.at.era, &f.at.transaction, &f.at.position, &f.end.era, &f.end.transaction, &f.end.position)
		return f, err
	})
	if err != nil {
		return fmt.Errorf("read the subscriptions: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.started {
		return nil
	}
	kept := map[int64]*worker{}
	for _, f := range all {
		w := d.workers[f.id]
		if w == nil {
			w = &worker{events: d.events, subscription: f.id, subscriber: f.name, wake: make(chan struct{}, 1), there: make(chan struct{}, 1)}
			w.ctx, w.cancel = context.WithCancel(d.events.stopping)
			w.delivered = d.events.metrics.delivered.WithLabelValues(f.name)
			w.client = eventv1cleave.NewDeliveryServiceClient(d.events.caller(eventv1cleave.DeliveryService.Of(f.name)).At(f.name))
			d.events.running.Go(w.run)
		}
		w.types = f.types
		kept[f.id] = w
		if w.isBehind(f.at, f.end) {
			w.nudge()
		}
	}
	for id, w := range d.workers {
		if kept[id] == nil { // The subscription was removed.
			w.cancel()
		}
	}
	d.workers = kept
	return nil
}

// worker delivers to one subscriber.
type worker struct {
	events       *Events
	subscription int64
	subscriber   string
	types        []string // that it listened to when it was looked at last; guarded by the deliveries
	client       eventv1connect.DeliveryServiceClient
	delivered    prometheus.Counter
	wake         chan struct{}   // There may be something to deliver.
	there        chan struct{}   // The subscriber can be reached.
	ctx          context.Context // Done when no delivery is to be begun any more.
	cancel       context.CancelFunc

	mu sync.Mutex
	// at is how far the log has been read: at least as far as the cursor in the database was when it was looked at last, and further
	// where nothing was wanted.
	at cursor

	passed int // events since the cursor was written down
	// attempts is how often a round has ended as the one before.
	attempts atomic.Int64
}

func (w *worker) nudge() {
	select {
	case w.wake <- struct{}{}:
	default: // It will look anyway.
	}
}

// isBehind takes note of the cursor in the database, and reports whether the log goes on behind what the worker has read.
func (w *worker) isBehind(at, end cursor) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.compare(w.at) > 0 {
		w.at = at
	}
	return w.at.compare(end) < 0
}

func (w *worker) position() cursor {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *worker) move(to cursor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to.compare(w.at) > 0 {
		w.at = to
	}
}

// run delivers until the worker is stopped.
func (w *worker) run() {
	last := done
	for {
		var again <-chan time.Time
		wake := w.wake
		switch attempts := int(w.attempts.Load()); last {
		case blocked:
			again = time.After(blockedPause.after(attempts))
		case leased:
			again = time.After(leasedPause.after(attempts))
			wake = nil // The other one reads on as long as there is something.
		case failed:
			again = time.After(failedPause.after(attempts))
			wake = nil // Each new event would be a reason to try again at once.
		}
		select {
		case <-w.ctx.Done():
			return
		case <-again:
		case <-wake:
		case <-w.there:
		}
		before := last
		var err error
		last, err = w.deliver()
		if w.attempts.Add(1); last != before {
			w.attempts.Store(0)
		}
		switch {
		case w.ctx.Err() != nil: // What a stop has cut off is no failure.
		case last == failed && before != failed:
			w.events.log.Warn("events cannot be delivered", "subscriber", w.subscriber, "error", err)
		case last != failed && before == failed:
			w.events.log.Info("events are delivered again", "subscriber", w.subscriber)
		}
	}
}

// outcome says how a worker's round ended.
type outcome int

const (
	done    outcome = iota // There is nothing to deliver.
	blocked                // There is, behind a transaction that is still writing.
	leased                 // Another process delivers.
	failed                 // The subscriber or the database cannot be reached.
)

// deliver hands over what there is.
func (w *worker) deliver() (outcome, error) {
	for w.ctx.Err() == nil {
		found, err := w.read()
		if err != nil {
			return failed, err
		}
		if len(found.events) > 0 {
			if how, err := w.burst(found); how != done {
				return how, err
			}
			continue
		}
		if err := w.pass(found); err != nil {
			return failed, err
		}
		if found.blocked {
			return blocked, nil
		}
		if !found.more {
			return done, nil
		}
	}
	return done, nil
}

func (w *worker) read() (window, error) {
	ctx, cancel := context.WithTimeout(w.events.work, statementTimeout)
	defer cancel()
	return w.events.read(ctx, w.subscription, w.position())
}

// pass passes over events that the subscriber does not want. Where they are many, the cursor in the database goes along.
func (w *worker) pass(found window) error {
	w.move(found.end)
	if w.passed += found.rows; w.passed < farBehind {
		return nil
	}
	w.passed = 0
	lease, at, err := w.events.acquire(w.events.work, w.subscription)
	if err != nil || lease == nil {
		return err
	}
	if at.compare(found.end) > 0 { // Another process was faster.
		found.end = at
	}
	return lease.advance(w.events.work, found.end, true, nil)
}

// burst delivers a window, and what comes next, under one lease.
func (w *worker) burst(found window) (outcome, error) {
	lease, at, err := w.events.acquire(w.events.work, w.subscription)
	if err != nil {
		return failed, err
	}
	if lease == nil {
		return leased, nil
	}
	if at.compare(w.position()) > 0 { // Another process was faster.
		w.move(at)
		found, err = w.read()
	}
	for err == nil {
		// The last batch releases the lease, so that one event alone costs no statement more.
		last := !found.more && (!found.blocked || len(found.events) == 0)
		var released bool
		if released, err = w.hand(lease, found, last); released {
			if found.blocked {
				return blocked, nil
			}
			return done, nil
		}
		if err == nil {
			found, err = w.read()
		}
	}
	if errors.Is(err, errLost) {
		return leased, nil
	}
	why := err
	if w.events.work.Err() != nil { // What a stop has cut off is no failure.
		why = nil
	}
	if noted := lease.fail(context.WithoutCancel(w.events.work), why); noted != nil {
		err = errors.Join(err, noted)
	}
	return failed, err
}

// hand delivers the events of a window in batches and moves the cursor behind each. It reports whether it released the lease: if it
// should, or when the worker is stopped.
func (w *worker) hand(lease *lease, found window, last bool) (released bool, err error) {
	for rest := found.events; ; {
		to, failures := found.end, []redelivery(nil)
		if len(rest) > 0 {
			size, handled := batchOf(rest), 0
			failures, handled, err = w.events.call(w.events.work, w.client, w.subscriber, rest[:size], false, lease.renew)
			if err != nil {
				return false, err
			}
			fault.Point("event/deliver/applied")
			w.delivered.Add(float64(handled - len(failures)))
			if handled < len(rest) {
				to = rest[handled-1].cursor
			}
			rest = rest[handled:]
		}
		release := last && len(rest) == 0 || w.ctx.Err() != nil
		if err := lease.advance(w.events.work, to, release, failures); err != nil {
			return false, err
		}
		w.move(to)
		w.passed = 0
		if release || len(rest) == 0 {
			return release, nil
		}
	}
}

// batchOf returns how many of the events make a batch.
func batchOf(events []logged) int {
	bytes := 0
	for i, l := range events {
		if bytes += l.size(); i == batchEvents || (i > 0 && bytes > batchBytes) {
			return i
		}
	}
	return len(events)
}

// call hands a batch to a subscriber. It returns what of it could not be applied, and how many of the events were dealt with: at least
// one. While it waits it calls renew from time to time, and gives up when that fails.
func (e *Events) call(ctx context.Context, client eventv1connect.DeliveryServiceClient, subscriber string, batch []logged, force bool, renew func(context.Context) error) ([]redelivery, int, error) {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	lost := make(chan error, 1)
	if renew != nil {
		timer := time.AfterFunc(leaseRenewal, func() {
			for ctx.Err() == nil {
				if err := renew(ctx); err != nil {
					lost <- err
					cancel()
					return
				}
				select {
				case <-time.After(leaseRenewal):
				case <-ctx.Done():
				}
			}
		})
		defer timer.Stop()
	}
	request := &eventv1.DeliverRequest{Force: force}
	for _, l := range batch {
		request.Events = append(request.Events, l.event)
	}
	traced, span := startDelivery(ctx, e.module, subscriber, request.Events)
	response, err := client.Deliver(traced, request)
	rpc.EndSpan(span, err)
	select {
	case err := <-lost:
		return nil, 0, err
	default:
	}
	if err != nil {
		return nil, 0, err
	}
	handled := int(response.GetHandled())
	if handled < 1 || handled > len(batch) {
		return nil, 0, connect.NewError(connect.CodeInternal, fmt.Errorf("%s answered that it has dealt with %d of %d events", subscriber, handled, len(batch)))
	}
	var failures []redelivery
	for _, failure := range response.GetFailures() {
		i := slices.IndexFunc(batch[:handled], func(l logged) bool { return l.event.GetId() == failure.GetEventId() })
		if i < 0 || slices.ContainsFunc(failures, func(r redelivery) bool { return r.Event == failure.GetEventId() }) {
			return nil, 0, connect.NewError(connect.CodeInternal, fmt.Errorf("%s answered with the failure of an event that it has not dealt with, or with one twice", subscriber))
		}
		e.log.WarnContext(about(ctx, batch[i].event), "event was refused, and is tried again by itself", "subscriber", subscriber, "event", failure.GetEventId(),
			"type", batch[i].event.GetType(), "error", failure.GetError())
		failures = append(failures, redelivery{
			Subscriber: subscriber, Event: failure.GetEventId(), Type: batch[i].event.GetType(), Subject: batch[i].event.GetSubject(),
			Cursor: batch[i].cursor.String(), Force: force,
		})
	}
	return failures, handled, nil
}
