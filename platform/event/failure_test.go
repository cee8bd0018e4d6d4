package event_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/rpc"
)

// An event that its handler refuses is tried again by itself while the others go on, is kept when that does not help, is listed, and is
// applied once after what was wrong is mended and somebody has it retried.
func TestPoison(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	var mended atomic.Bool
	v.start(t, "beta", &listener{from: event.Beginning, refuse: func(_ context.Context, _ event.Event, text string) error {
		if text == "poison" && !mended.Load() {
			return errors.New("does not taste")
		}
		if text == "panic" && !mended.Load() {
			panic("cannot stand it")
		}
		return nil
	}})
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 1, "one")
	alpha.mustPublish(t, "sub_1", 2, "poison")
	alpha.mustPublish(t, "sub_1", 3, "three")
	alpha.mustPublish(t, "sub_1", 4, "panic")
	alpha.mustPublish(t, "sub_1", 5, "five")
	v.hears(t, "beta", "one", "three", "five")
	subscriber := func() *eventv1.Subscriber {
		list, err := alpha.Operator().ListSubscribers(t.Context(), &eventv1.ListSubscribersRequest{})
		if err != nil || len(list.GetSubscribers()) != 1 {
			t.Fatalf("the subscribers are %v, %v", list, err)
		}
		return list.GetSubscribers()[0]
	}
	v.eventually(t, func() bool { return subscriber().GetLagEvents() == 0 }, func() string { return "the cursor has passed them" })
	if s := subscriber(); s.GetRetrying() != 2 || s.GetKept() != 0 {
		t.Errorf("while they are tried again the subscriber is %v", s)
	}
	v.eventually(t, func() bool {
		// The day passes.
		v.exec(t, "UPDATE alpha.river_job SET max_attempts = attempt + 1, state = 'available', scheduled_at = now() WHERE kind = $1 AND state IN ('scheduled', 'retryable')", event.RedeliveryKind)
		return subscriber().GetKept() == 2
	}, func() string { return "they are kept" })
	s := subscriber()
	if len(s.GetFailures()) != 2 {
		t.Fatalf("the subscriber is %v", s)
	}
	if f := s.GetFailures()[1]; !f.GetKept() || f.GetSubject() != "sub_1" || f.GetError() != "does not taste" || f.GetAttempts() < 1 {
		t.Errorf("the failure is %v", f)
	}
	mended.Store(true)
	if r, err := alpha.Operator().RetryKept(t.Context(), &eventv1.RetryKeptRequest{Subscriber: "beta", EventId: s.GetFailures()[1].GetEventId()}); err != nil || r.GetRetried() != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	v.hears(t, "beta", "one", "three", "five", "poison")
	if r, err := alpha.Operator().RetryKept(t.Context(), &eventv1.RetryKeptRequest{Subscriber: "beta"}); err != nil || r.GetRetried() != 1 {
		t.Fatalf("%v, %v", r, err)
	}
	v.hears(t, "beta", "one", "three", "five", "poison", "panic")
	v.eventually(t, func() bool { return subscriber().GetKept()+subscriber().GetRetrying() == 0 }, func() string { return "nothing is kept" })
}

// A refused event waits for a subscriber that is away, and its attempts are not used up.
func TestPoisonWaits(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	beta := v.start(t, "beta", &listener{from: event.Beginning, refuse: func(context.Context, event.Event, string) error { return errors.New("no") }})
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 1, "one")
	refused := func(condition string) func() bool {
		return func() bool {
			return len(query[int64](t, v, "SELECT id FROM alpha.river_job WHERE kind = $1 AND "+condition, event.RedeliveryKind)) == 1
		}
	}
	v.eventually(t, refused("true"), func() string { return "the event is refused" })
	beta.Stop()
	hurry := func() {
		v.exec(t, "UPDATE alpha.river_job SET state = 'available', scheduled_at = now(), max_attempts = 2 WHERE kind = $1 AND state IN ('scheduled', 'retryable')", event.RedeliveryKind)
	}
	hurry()
	v.eventually(t, refused("metadata ? 'snoozes'"), func() string { return "the job waits" })
	v.start(t, "beta", &listener{from: event.Beginning})
	hurry()
	v.hears(t, "beta", "one")
}

// Of a batch that takes too long a part is dealt with, and the rest comes again: who is slow gets on all the same.
func TestSlowBatch(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	v.start(t, "beta", &listener{from: event.Beginning, refuse: func(ctx context.Context, _ event.Event, _ string) error {
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
		}
		return ctx.Err()
	}})
	alpha := v.start(t, "alpha", nil)
	client := eventv1cleave.NewDeliveryServiceClient(alpha.Caller(eventv1cleave.DeliveryService.Of("beta")).At("beta"))
	request := &eventv1.DeliverRequest{}
	for i := range 40 { // Twelve seconds.
		request.Events = append(request.Events, &eventv1.Event{Id: fmt.Sprint("evt_", i), Type: look, Subject: "sub_1"})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
	defer cancel()
	response, err := client.Deliver(ctx, request)
	if err != nil || response.GetHandled() < 1 || response.GetHandled() > 39 || len(response.GetFailures()) > 0 {
		t.Fatalf("the answer is %v, %v", response, err)
	}
	if heard := v.heard(t, "beta"); len(heard) != int(response.GetHandled()) {
		t.Errorf("%d events are said to be dealt with, and %d are", response.GetHandled(), len(heard))
	}
}

// An event of a type that a replica does not know is no event that may be forgotten, and whoever it does not listen to is told so.
func TestUnknownEvent(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	v.start(t, "beta", &listener{from: event.Beginning})
	request := &eventv1.DeliverRequest{Events: []*eventv1.Event{{Id: "evt_1", Type: look}, {Id: "evt_2", Type: "a.v1.New"}, {Id: "evt_3", Type: look}}}
	deliver := func(from string) (*eventv1.DeliverResponse, error) {
		m := v.start(t, from, nil)
		client := eventv1cleave.NewDeliveryServiceClient(m.Caller(eventv1cleave.DeliveryService.Of("beta")).At("beta"))
		return client.Deliver(t.Context(), request)
	}
	response, err := deliver("alpha")
	if err != nil || response.GetHandled() != 3 || len(response.GetFailures()) != 1 || response.GetFailures()[0].GetEventId() != "evt_2" {
		t.Errorf("the answer is %v, %v", response, err)
	}
	if known := query[string](t, v, "SELECT id FROM beta.cleave_inbox ORDER BY id"); len(known) != 2 {
		t.Errorf("beta has noted %v as applied", known)
	}
	if _, err := deliver("gamma"); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("events of somebody else: %v", err)
	}
}

// The server forgets in a crash what did not wait for the disk. A refused event is not among that: nobody else knows of it.
func TestRefusalIsDurable(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	// In the tests' cluster nothing waits.
	v.exec(t, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()); END $$")
	alpha := v.start(t, "alpha", nil)
	v.start(t, "beta", &listener{from: event.Beginning, refuse: func(context.Context, event.Event, string) error { return errors.New("no") }})
	v.subscribed(t, "beta")
	// What the transaction that inserts the job waits for is noted along with it.
	v.exec(t, `CREATE TABLE alpha.waits (kind text, setting text);
		GRANT INSERT ON alpha.waits TO PUBLIC;
		CREATE FUNCTION alpha.note() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN INSERT INTO alpha.waits VALUES (TG_TABLE_NAME, current_setting(''synchronous_commit'')); RETURN NULL; END';
		CREATE CONSTRAINT TRIGGER note AFTER INSERT ON alpha.river_job DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION alpha.note()`)
	alpha.mustPublish(t, "sub_1", 1, "one")
	var got []string
	v.eventually(t, func() bool {
		got = query[string](t, v, "SELECT setting FROM alpha.waits")
		return len(got) > 0
	}, func() string { return "the event is refused" })
	if got[0] != "on" {
		t.Errorf("the job of a refused event commits with synchronous_commit %s", got[0])
	}
}

// An error of the subscriber that does not pass by itself is an attempt, and its end is that the event is kept: it is not tried for ever.
func TestPoisonOfAnotherKind(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	var refused atomic.Bool
	broken := func(_ *rpc.Method, next rpc.Next) rpc.Next {
		return func(ctx context.Context, request proto.Message) (proto.Message, error) {
			if refused.Load() {
				return nil, errors.New("broken")
			}
			return next(ctx, request)
		}
	}
	v.start(t, "beta", &listener{from: event.Beginning, intercept: []rpc.Interceptor{broken}, refuse: func(context.Context, event.Event, string) error {
		refused.Store(true)
		return errors.New("no")
	}})
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 1, "one")
	v.eventually(t, func() bool {
		v.exec(t, "UPDATE alpha.river_job SET scheduled_at = now(), state = 'available', max_attempts = 2 WHERE kind = $1 AND state IN ('scheduled', 'retryable')", event.RedeliveryKind)
		return len(query[int64](t, v, "SELECT id FROM alpha.river_job WHERE kind = $1 AND state = 'discarded'", event.RedeliveryKind)) == 1
	}, func() string { return "the event is kept" })
}

// Where the subscriber's database has no time for an event nothing is wrong with the event: it comes again, in its order.
func TestBusyInbox(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	v.start(t, "beta", &listener{from: event.Beginning})
	v.subscribed(t, "beta")
	lock, err := v.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback(context.WithoutCancel(t.Context()))
	if _, err := lock.Exec(t.Context(), "LOCK TABLE beta.cleave_inbox"); err != nil {
		t.Fatal(err)
	}
	client := eventv1cleave.NewDeliveryServiceClient(alpha.Caller(eventv1cleave.DeliveryService.Of("beta")).At("beta"))
	response, err := client.Deliver(t.Context(), &eventv1.DeliverRequest{Events: []*eventv1.Event{{Id: "evt_1", Type: look, Subject: "sub_1"}}})
	if connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("while the inbox is locked: %v, %v", response, err)
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	alpha.mustPublish(t, "sub_1", 1, "one")
	v.hears(t, "beta", "one")
}

// liar is a subscriber that answers what it likes.
type liar struct{ answer *eventv1.DeliverResponse }

func (l liar) Deliver(context.Context, *eventv1.DeliverRequest) (*eventv1.DeliverResponse, error) {
	return l.answer, nil
}

// An answer that does not fit what was delivered is an error, and none that brings down the publisher, who counts by it.
func TestAnswerThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handled int32
		refused []string
		well    bool
	}{
		"one refused":               {2, []string{"evt_2"}, true},
		"both refused":              {2, []string{"evt_1", "evt_2"}, true},
		"nothing dealt with":        {0, nil, false},
		"more than there was":       {3, nil, false},
		"one that was not given":    {2, []string{"evt_3"}, false},
		"one that was not tried":    {1, []string{"evt_2"}, false},
		"one that is refused twice": {1, []string{"evt_1", "evt_1"}, false},
	} {
		answer := &eventv1.DeliverResponse{Handled: c.handled}
		for _, id := range c.refused {
			answer.Failures = append(answer.Failures, &eventv1.DeliveryFailure{EventId: id})
		}
		refused, handled, err := event.Call(t.Context(), liar{answer}, &eventv1.Event{Id: "evt_1"}, &eventv1.Event{Id: "evt_2"})
		if c.well != (err == nil) || c.well && (refused != len(c.refused) || handled != int(c.handled)) {
			t.Errorf("%s: %d of %d are refused, %v", name, refused, handled, err)
		}
	}
}
