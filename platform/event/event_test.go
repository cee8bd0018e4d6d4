package event_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/rpc"
)

func messages(list ...proto.Message) []proto.Message { return list }

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
