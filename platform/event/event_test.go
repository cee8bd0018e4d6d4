package event_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/rpc"
)

func messages(list ...proto.Message) []proto.Message { return list }

// What a transaction publishes is heard when it has committed, with everything that is known of it.
func TestPublish(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	type hearing struct {
		event    event.Event
		metadata rpc.Metadata
	}
	var mu sync.Mutex
	var hearings []hearing
	v.start(t, "beta", &listener{from: event.Beginning, refuse: func(ctx context.Context, e event.Event, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		hearings = append(hearings, hearing{e, rpc.MetadataOf(ctx)})
		return nil
	}})
	ctx := rpc.WithMetadata(t.Context(), rpc.Metadata{
		Principal: rpc.Principal{Subject: "usr_1", Roles: []string{"customer"}}, CorrelationID: "corr-1", Trace: "00-1-2-01", RequestID: "req-1",
	})
	before := time.Now().Add(-time.Minute)
	rolledBack := errors.New("no")
	if err := alpha.DB.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return errors.Join(alpha.Publish(ctx, tx, "sub_1", 1, &parityv1.LookRequest{Case: "never"}), rolledBack)
	}); !errors.Is(err, rolledBack) {
		t.Fatal(err)
	}
	if err := alpha.DB.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return errors.Join(
			alpha.Publish(ctx, tx, "sub_1", 1, &parityv1.LookRequest{Case: "one"}),
			alpha.Publish(ctx, tx, "sub_1", 2, &parityv1.LookRequest{Case: "two"}),
			alpha.Publish(ctx, tx, "sub_1", 3, &parityv1.CallRequest{Case: "nobody listens to this"}),
		)
	}); err != nil {
		t.Fatal(err)
	}
	alpha.mustPublish(t, "sub_2", 1, "")
	v.hears(t, "beta", "one", "two", "")
	first := hearings[0]
	if e := first.event; !strings.HasPrefix(e.ID, "evt_") || e.Time.Before(before) || e.Time.After(time.Now().Add(time.Minute)) {
		t.Errorf("the event is %+v", e)
	}
	first.event.ID, first.event.Time = "", time.Time{}
	want := event.Event{Source: "alpha", Type: "platform.parity.v1.LookRequest", Subject: "sub_1", Sequence: 1, CorrelationID: "corr-1", Trace: "00-1-2-01"}
	if first.event != want {
		t.Errorf("the event is %+v, want %+v", first.event, want)
	}
	// Who listens acts on behalf of the customer who ordered.
	if want := (rpc.Metadata{Principal: rpc.Principal{Subject: "usr_1", Roles: []string{"customer"}}, CorrelationID: "corr-1", Trace: "00-1-2-01", Caller: "alpha"}); !reflect.DeepEqual(first.metadata, want) {
		t.Errorf("the handler's metadata are %+v, want %+v", first.metadata, want)
	}
}

// An event that a transaction publishes which began before others and commits after them is not passed over, and comes in its place.
func TestLateCommit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plant func(*event.Events)
		want  []string
	}{
		"right":                 {nil, []string{"late", "quick", "last"}},
		"with the xmin ignored": {(*event.Events).IgnoreXmin, []string{"quick", "last"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t)
			alpha := v.start(t, "alpha", &listener{plant: c.plant})
			v.start(t, "beta", &listener{from: event.Beginning})
			v.subscribed(t, "beta")
			if err := alpha.DB.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				if err := alpha.Publish(ctx, tx, "sub_1", 1, &parityv1.LookRequest{Case: "late"}); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, "INSERT INTO thing VALUES ('has an id and a row in the log now')"); err != nil {
					return err
				}
				alpha.mustPublish(t, "sub_2", 1, "quick")
				if c.plant != nil {
					v.hears(t, "beta", "quick")
					return nil
				}
				v.eventually(t, func() bool { return alpha.Attempts("beta") > 2 }, func() string { return "the worker has looked again and again" })
				if heard := v.heard(t, "beta"); len(heard) > 0 {
					t.Errorf("beta hears %q while an older transaction is still writing", heard)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if c.plant == nil {
				v.hears(t, "beta", "late", "quick")
			}
			alpha.mustPublish(t, "sub_3", 1, "last")
			v.hears(t, "beta", c.want...)
		})
	}
}

// Whoever subscribes while others publish misses nothing: from the beginning the whole log, from now on whatever was begun after the
// subscription was answered.
func TestSubscribeDuringPublishing(t *testing.T) {
	t.Parallel()
	for _, from := range []event.From{event.Now, event.Beginning} {
		t.Run(string(from), func(t *testing.T) {
			t.Parallel()
			v := newVillage(t)
			alpha := v.start(t, "alpha", nil)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var mu sync.Mutex
			due := map[string]bool{} // whether it must be heard
			subscribed := false
			var publishing sync.WaitGroup
			for p := range 4 {
				publishing.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						text := fmt.Sprintf("%d.%d", p, i)
						err := alpha.DB.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
							if err := alpha.Publish(ctx, tx, text, 1, &parityv1.LookRequest{Case: text}); err != nil {
								return err
							}
							// The row is written, and the commit comes at any time: also long after others, and after the subscription.
							_, err := tx.Exec(ctx, "SELECT pg_sleep(random() * 0.02)")
							mu.Lock()
							due[text] = subscribed || from == event.Beginning
							mu.Unlock()
							return err
						})
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			published := func() int {
				mu.Lock()
				defer mu.Unlock()
				return len(due)
			}
			v.eventually(t, func() bool { return published() > 30 }, func() string { return "some have been published" })
			v.start(t, "beta", &listener{from: from})
			v.subscribed(t, "beta")
			mu.Lock()
			subscribed = true // From here on whatever has not said so yet commits later.
			mu.Unlock()
			before := published()
			v.eventually(t, func() bool { return published() > before+50 }, func() string { return "more have been published" })
			stop()
			publishing.Wait()
			alpha.mustPublish(t, "last", 1, "last")
			heard := map[string]int{}
			v.eventually(t, func() bool {
				clear(heard)
				for _, text := range v.heard(t, "beta") {
					heard[text]++
				}
				return heard["last"] > 0
			}, func() string { return "the last event is heard" })
			missed := 0
			for text, must := range due {
				if heard[text] > 1 {
					t.Errorf("%s is heard %d times", text, heard[text])
				}
				if must && heard[text] == 0 {
					missed++
				}
			}
			if missed > 0 {
				t.Errorf("of %d events %d were missed", len(due), missed)
			}
			if from == event.Now && len(heard) == len(due)+1 {
				t.Error("from now on it heard the whole log")
			}
		})
	}
}

// A module that listens starts without the one that it listens to, and hears everything when that has come.
func TestPublisherComesLater(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	v.start(t, "beta", &listener{from: event.Now})
	alpha := v.start(t, "alpha", nil)
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 1, "one")
	v.hears(t, "beta", "one")
}

// A module that listens may be away: it hears what it missed when it is back.
func TestSubscriberComesBack(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	beta := v.start(t, "beta", &listener{from: event.Now})
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 1, "one")
	v.hears(t, "beta", "one")
	beta.Stop()
	alpha.mustPublish(t, "sub_1", 2, "two")
	v.eventually(t, func() bool {
		return len(query[string](t, v, "SELECT error FROM alpha.cleave_subscriber WHERE error IS NOT NULL")) == 1
	}, func() string { return "the subscription says what is wrong" })
	v.start(t, "beta", &listener{from: event.Now})
	v.hears(t, "beta", "one", "two")
	v.eventually(t, func() bool {
		return len(query[string](t, v, "SELECT error FROM alpha.cleave_subscriber WHERE error IS NOT NULL")) == 0
	}, func() string { return "all is well again" })
}

// An event is applied once, however often, in whichever order and from however many sides it is delivered.
func TestRepeatedDelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plant func(*event.Events)
		once  bool
	}{
		"right":                  {nil, true},
		"with the inbox skipped": {(*event.Events).SkipInbox, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVillage(t)
			v.start(t, "beta", &listener{from: event.Beginning, plant: c.plant})
			alpha := v.start(t, "alpha", nil)
			client := eventv1cleave.NewDeliveryServiceClient(alpha.Caller(eventv1cleave.DeliveryService.Of("beta")).At("beta"))
			var events []*eventv1.Event
			for i := range 20 {
				data, err := proto.Marshal(&parityv1.LookRequest{Case: fmt.Sprint(i)})
				if err != nil {
					t.Fatal(err)
				}
				events = append(events, &eventv1.Event{Id: fmt.Sprintf("evt_%02d", i), Type: "platform.parity.v1.LookRequest", Subject: "sub_1", Data: data})
			}
			var delivering sync.WaitGroup
			for range 8 {
				delivering.Go(func() {
					for range 5 {
						batch := slices.Clone(events)
						rand.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
						batch = append(batch[:10], batch[3]) // Some of them, and one twice.
						response, err := client.Deliver(t.Context(), &eventv1.DeliverRequest{Events: batch})
						if err != nil || len(response.GetFailures()) > 0 || int(response.GetHandled()) != len(batch) {
							t.Errorf("the answer is %v, %v", response, err)
						}
					}
				})
			}
			delivering.Wait()
			if _, err := client.Deliver(t.Context(), &eventv1.DeliverRequest{Events: events}); err != nil {
				t.Fatal(err)
			}
			heard := v.heard(t, "beta")
			if (len(heard) == len(events)) != c.once {
				t.Errorf("of %d events %d were applied", len(events), len(heard))
			}
			if slices.Sort(heard); len(slices.Compact(heard)) != len(events) {
				t.Errorf("of %d events only %d were applied", len(events), len(slices.Compact(heard)))
			}
		})
	}
}

// Who listens late, slowly or not at all delays nobody else.
func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	release := make(chan struct{})
	v.start(t, "beta", &listener{from: event.Beginning, refuse: func(ctx context.Context, _ event.Event, _ string) error {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}})
	v.start(t, "gamma", &listener{from: event.Beginning})
	v.subscribed(t, "beta")
	v.subscribed(t, "gamma")
	alpha.mustPublish(t, "sub_1", 1, "one")
	alpha.mustPublish(t, "sub_1", 2, "two")
	v.hears(t, "gamma", "one", "two")
	if heard := v.heard(t, "beta"); len(heard) > 0 {
		t.Errorf("beta has not been slow: it hears %q", heard)
	}
	close(release)
	v.hears(t, "beta", "one", "two")
}

// Of two replicas of a publisher one at a time delivers, whichever of the two an event was published in.
func TestReplicas(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	var mu sync.Mutex
	delivered := map[string]int{}
	count := func(method *rpc.Method, next rpc.Next) rpc.Next {
		return func(ctx context.Context, request proto.Message) (proto.Message, error) {
			if r, ok := request.(*eventv1.DeliverRequest); ok {
				mu.Lock()
				for _, e := range r.GetEvents() {
					delivered[e.GetId()]++
				}
				mu.Unlock()
			}
			return next(ctx, request)
		}
	}
	v.start(t, "beta", &listener{from: event.Beginning, intercept: []rpc.Interceptor{count}})
	replicas := []*toy{v.start(t, "alpha", nil), v.start(t, "alpha", nil)}
	v.subscribed(t, "beta")
	const each = 100
	var publishing sync.WaitGroup
	for _, replica := range replicas {
		publishing.Go(func() {
			for i := range each {
				if err := replica.publish(t.Context(), "sub", int64(i), "text"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishing.Wait()
	v.eventually(t, func() bool { return len(v.heard(t, "beta")) == 2*each }, func() string { return "all is heard" })
	mu.Lock()
	defer mu.Unlock()
	for id, times := range delivered {
		if times > 1 {
			t.Errorf("%s was delivered %d times", id, times)
		}
	}
}

// When the process that delivers dies another one takes over, and what the dead one may still do moves nothing.
func TestLease(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	v.start(t, "beta", &listener{from: event.Beginning})
	subscription := v.subscribed(t, "beta")
	move, err := alpha.TakeLease(t.Context(), subscription)
	if err != nil || move == nil {
		t.Fatalf("the lease is not free: %v", err)
	}
	alpha.mustPublish(t, "sub_1", 1, "one")
	if other, err := alpha.TakeLease(t.Context(), subscription); err != nil || other != nil {
		t.Errorf("a lease that is held was taken (%v)", err)
	}
	v.exec(t, "UPDATE alpha.cleave_subscriber SET lease_until = now()") // Time passes.
	v.hears(t, "beta", "one")
	if err := move(t.Context()); !errors.Is(err, event.ErrLost) {
		t.Errorf("who has lost the lease moves the cursor: %v", err)
	}
	alpha.mustPublish(t, "sub_1", 2, "two")
	v.hears(t, "beta", "one", "two")
}

// The login role of a module can add to its log and change nothing in it.
func TestLogOnlyGrows(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	alpha.mustPublish(t, "sub_1", 1, "one")
	for _, statement := range []string{"UPDATE cleave_event SET subject = 'sub_2'", "DELETE FROM cleave_event", "TRUNCATE cleave_event"} {
		var pgErr *pgconn.PgError
		if _, err := alpha.DB.Pool().Exec(t.Context(), statement); !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want insufficient_privilege", statement, err)
		}
	}
}

// The plan for reading the log is made once and kept while the log grows, so it must not be one for a short log.
func TestShortLogIsReadAsLongOnesAre(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	alpha.mustPublish(t, "sub_1", 1, "one")
	var plan []string
	if err := alpha.DB.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		db.Defer(tx, event.ByIndex)
		rows, _ := tx.Query(ctx, "EXPLAIN "+event.ReadWindow, 1, 1, 1, 1)
		var err error
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "Index Scan using cleave_event_pkey on cleave_event") {
		t.Errorf("the log is read like this:\n%s", text)
	}
}

// A batch crosses the seam whatever it consists of: one that is too large would be handed over in vain forever.
func TestBatchCrossesTheSeam(t *testing.T) {
	t.Parallel()
	roles := make([]string, 100)
	for i := range roles {
		roles[i] = strings.Repeat(`"`, 80) // In JSON each takes two bytes.
	}
	principal := rpc.EncodePrincipal(rpc.Principal{Subject: "usr_1", Roles: roles})
	for name, one := range map[string]*eventv1.Event{
		"much data": {Data: make([]byte, 64<<10)}, "a long subject": {Subject: strings.Repeat("s", 128)}, "many roles": {Data: make([]byte, 10<<10), Principal: principal},
	} {
		log := slices.Repeat([]*eventv1.Event{one}, 500)
		n := event.BatchOf(log)
		if size := proto.Size(&eventv1.DeliverRequest{Events: log[:n]}); n < 1 || size > 2<<20 {
			t.Errorf("%s: %d events of %d bytes are a batch", name, n, size)
		}
	}
}

// What is no event is refused where it is published.
func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	for name, c := range map[string]struct {
		subject, text, want string
	}{
		"too large":  {"sub_1", strings.Repeat("x", 64<<10), "at most 65536 are allowed"},
		"no subject": {"", "", "its subject has 0 bytes"},
	} {
		if err := alpha.publish(t.Context(), c.subject, 1, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a module declares to listen to and what it handles are the same, or it does not start.
func TestDeclaration(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	look := messages((*parityv1.LookRequest)(nil))
	for want, c := range map[string]struct {
		listens []event.Subscription
		handles bool
	}{
		"": {[]event.Subscription{{Publisher: "alpha", Events: look, From: event.Now}}, true},
		"handles platform.parity.v1.LookRequest but does not declare it":          {nil, true},
		"declares that it listens to platform.parity.v1.LookRequest but does not": {[]event.Subscription{{Publisher: "alpha", Events: look, From: event.Now}}, false},
		"lists two subscriptions to alpha": {[]event.Subscription{
			{Publisher: "alpha", Events: look, From: event.Now}, {Publisher: "alpha", Events: look, From: event.Now},
		}, true},
		"listens to alpha from nowhere":       {[]event.Subscription{{Publisher: "alpha", Events: look}}, true},
		"listens to alpha but to none of its": {[]event.Subscription{{Publisher: "alpha", From: event.Now}}, false},
		`lists a subscription to "beta"`:      {[]event.Subscription{{Publisher: "beta", Events: look, From: event.Now}}, true},
	} {
		d, err := db.Open(t.Context(), v.config("beta", v.url))
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := job.New(d, v.log)
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.New(event.Config{DB: d, Jobs: jobs, Log: v.log, Listens: c.listens})
		if err == nil && c.handles {
			event.Handle(e, func(context.Context, pgx.Tx, event.Event, *parityv1.LookRequest) error { return nil })
		}
		if err == nil {
			err = e.Check()
		}
		if text := fmt.Sprint(err); !strings.Contains(text, want) || (want == "") != (err == nil) {
			t.Errorf("%v, want %q", err, want)
		}
		d.Close()
	}
}

// A delivery that takes its time keeps its lease, and is not begun by another replica beside it.
func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	var calls atomic.Int64
	release := make(chan struct{})
	slow := func(_ *rpc.Method, next rpc.Next) rpc.Next {
		return func(ctx context.Context, request proto.Message) (proto.Message, error) {
			calls.Add(1)
			<-release
			return next(ctx, request)
		}
	}
	v.start(t, "beta", &listener{from: event.Beginning, intercept: []rpc.Interceptor{slow}})
	alpha := v.start(t, "alpha", nil)
	v.start(t, "alpha", nil)
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 1, "one")
	var first time.Time
	v.eventually(t, func() bool {
		until := query[time.Time](t, v, "SELECT lease_until FROM alpha.cleave_subscriber WHERE lease_until IS NOT NULL")
		if len(until) > 0 && first.IsZero() {
			first = until[0]
		}
		return len(until) > 0 && until[0].After(first)
	}, func() string { return "the lease is renewed" })
	close(release)
	v.hears(t, "beta", "one")
	if calls.Load() != 1 {
		t.Errorf("the event was delivered %d times", calls.Load())
	}
}

// While another process delivers, one that publishes does not read the log again with each event.
func TestLeasedIsQuiet(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	v.start(t, "beta", &listener{from: event.Beginning})
	v.subscribed(t, "beta")
	v.exec(t, "UPDATE alpha.cleave_subscriber SET lease_owner = 'other', lease_until = now() + interval '1 hour'")
	const events = 300
	for i := range events {
		alpha.mustPublish(t, "sub_1", int64(i+1), "text")
	}
	v.eventually(t, func() bool { return alpha.Attempts("beta") > 3 }, func() string { return "the lease was asked for" })
	if n := alpha.Attempts("beta"); n > events/3 {
		t.Errorf("while %d events were published the lease was asked for %d times in a row", events, n)
	}
	v.exec(t, "UPDATE alpha.cleave_subscriber SET lease_owner = NULL, lease_until = NULL")
	v.eventually(t, func() bool { return len(v.heard(t, "beta")) == events }, func() string { return "all is heard" })
}
