package event_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
	"github.com/cleave-go/cleave/platform/event"
)

const look = "platform.parity.v1.LookRequest"

// operator returns what an operator asks a toy with.
func (m *toy) operator(name string) eventv1connect.EventServiceClient {
	return eventv1cleave.NewEventServiceClient(m.Caller(eventv1cleave.EventService.Of(name)).At(name))
}

// replay replays to the end and returns the last progress.
func (m *toy) replay(t testing.TB, r *eventv1.ReplayRequest) (*eventv1.ReplayResponse, error) {
	t.Helper()
	stream, err := m.operator("alpha").Replay(t.Context(), r)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	last := &eventv1.ReplayResponse{}
	for stream.Receive() {
		last = stream.Msg()
	}
	return last, stream.Err()
}

// A replay changes nothing for a subscriber that has applied the events, fills in what it has lost, and applies all of them again when
// it is forced. It can be restricted to types, a subject or a time.
func TestReplay(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	v.start(t, "beta", &listener{from: event.Beginning})
	v.subscribed(t, "beta")
	var all []string
	for i := range 250 { // More than two batches.
		all = append(all, fmt.Sprint(i))
		alpha.mustPublish(t, fmt.Sprintf("sub_%d", i%5), int64(i), all[i])
	}
	v.hears(t, "beta", all...)
	progress, err := alpha.replay(t, &eventv1.ReplayRequest{Subscriber: "beta"})
	if err != nil || progress.GetDelivered() != 250 || progress.GetFailed() != 0 {
		t.Errorf("the replay ends with %v, %v", progress, err)
	}
	v.hears(t, "beta", all...)

	// What beta has lost comes again, and only that.
	v.exec(t, "DELETE FROM beta.heard WHERE subject = 'sub_3'")
	v.exec(t, "DELETE FROM beta.cleave_inbox WHERE id IN (SELECT id FROM alpha.cleave_event WHERE subject = 'sub_3')")
	if progress, err := alpha.replay(t, &eventv1.ReplayRequest{Subscriber: "beta"}); err != nil || progress.GetDelivered() != 250 {
		t.Errorf("the replay ends with %v, %v", progress, err)
	}
	if heard := v.heard(t, "beta"); len(heard) != 250 {
		t.Errorf("after the replay beta has heard %d events", len(heard))
	}

	// Forced, a part of it.
	v.exec(t, "TRUNCATE beta.heard")
	begin := query[time.Time](t, v, "SELECT time FROM alpha.cleave_event WHERE sequence = 100")[0]
	end := query[time.Time](t, v, "SELECT time FROM alpha.cleave_event WHERE sequence = 104")[0]
	part := &eventv1.Range{FromTime: timestamppb.New(begin), ToTime: timestamppb.New(end), Types: []string{look}}
	if progress, err := alpha.replay(t, &eventv1.ReplayRequest{Subscriber: "beta", Range: part, Force: true}); err != nil || progress.GetDelivered() != 4 {
		t.Errorf("the replay ends with %v, %v", progress, err)
	}
	v.hears(t, "beta", "100", "101", "102", "103")
	if _, err := alpha.replay(t, &eventv1.ReplayRequest{Subscriber: "beta", Range: &eventv1.Range{Subject: "sub_4"}, Force: true}); err != nil {
		t.Fatal(err)
	}
	if heard := v.heard(t, "beta"); len(heard) != 54 || heard[4] != "4" || heard[53] != "249" {
		t.Errorf("after the replay of a subject beta has heard %v", heard)
	}

	for name, c := range map[string]struct {
		request *eventv1.ReplayRequest
		code    connect.Code
	}{
		"of nobody":       {&eventv1.ReplayRequest{Subscriber: "delta"}, connect.CodeNotFound},
		"of another type": {&eventv1.ReplayRequest{Subscriber: "beta", Range: &eventv1.Range{Types: []string{"x.v1.Y"}}}, connect.CodeInvalidArgument},
	} {
		if _, err := alpha.replay(t, c.request); connect.CodeOf(err) != c.code {
			t.Errorf("a replay %s: %v", name, err)
		}
	}
}

// What a forced replay could not apply is forced when it is tried again.
func TestForcedReplayOfPoison(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	var broken atomic.Bool
	v.start(t, "beta", &listener{from: event.Beginning, refuse: func(context.Context, event.Event, string) error {
		if broken.Load() {
			return errors.New("broken")
		}
		return nil
	}})
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 1, "one")
	v.hears(t, "beta", "one")
	broken.Store(true)
	if progress, err := alpha.replay(t, &eventv1.ReplayRequest{Subscriber: "beta", Force: true}); err != nil || progress.GetFailed() != 1 {
		t.Errorf("the replay ends with %v, %v", progress, err)
	}
	broken.Store(false)
	v.exec(t, "UPDATE alpha.river_job SET state = 'available', scheduled_at = now() WHERE kind = $1 AND state IN ('scheduled', 'retryable')", event.RedeliveryKind)
	v.hears(t, "beta", "one", "one")
}

// A subscription ends when somebody removes it and not before, and the others go on. The module's next start makes a new one.
func TestRemoveSubscriber(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	beta := v.start(t, "beta", &listener{from: event.Now})
	v.start(t, "gamma", &listener{from: event.Now})
	v.subscribed(t, "beta")
	v.subscribed(t, "gamma")
	alpha.mustPublish(t, "sub_1", 1, "one")
	v.hears(t, "beta", "one")
	beta.Stop()
	if _, err := alpha.operator("alpha").RemoveSubscriber(t.Context(), &eventv1.RemoveSubscriberRequest{Subscriber: "beta"}); err != nil {
		t.Fatal(err)
	}
	_, err := alpha.operator("alpha").RemoveSubscriber(t.Context(), &eventv1.RemoveSubscriberRequest{Subscriber: "beta"})
	if connect.CodeOf(err) != connect.CodeNotFound || !strings.Contains(err.Error(), "gamma listen") {
		t.Errorf("to remove it twice: %v", err)
	}
	alpha.mustPublish(t, "sub_1", 2, "two")
	v.hears(t, "gamma", "one", "two")
	v.start(t, "beta", &listener{from: event.Now})
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 3, "three")
	v.hears(t, "beta", "one", "three")
	v.hears(t, "gamma", "one", "two", "three")
}

// A type that a subscriber no longer names is remembered for an hour, because an older replica may have started after a newer one.
func TestTypes(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	beta := v.start(t, "beta", nil)
	client := eventv1cleave.NewSubscriptionServiceClient(beta.Caller(eventv1cleave.SubscriptionService.Of("alpha")).At("alpha"))
	subscribe := func(renew bool, types ...string) error {
		_, err := client.Subscribe(t.Context(), &eventv1.SubscribeRequest{Types: types, From: eventv1.From_FROM_NOW, Renew: renew})
		return err
	}
	listens := func(want ...string) {
		t.Helper()
		list, err := alpha.operator("alpha").ListSubscribers(t.Context(), &eventv1.ListSubscribersRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if got := list.GetSubscribers()[0].GetTypes(); !slices.Equal(got, want) {
			t.Errorf("beta listens to %q, want %q", got, want)
		}
	}
	if err := subscribe(true, "a.v1.New"); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("to renew what is not there: %v", err)
	}
	if err := errors.Join(subscribe(false, "a.v1.Old", "a.v1.New"), subscribe(false, "a.v1.Old")); err != nil {
		t.Fatal(err)
	}
	listens("a.v1.New", "a.v1.Old")
	v.exec(t, "UPDATE alpha.cleave_subscriber SET types = jsonb_set(types, '{a.v1.New}', to_jsonb(now() - interval '61 minutes'))")
	listens("a.v1.New", "a.v1.Old") // A subscriber that is away for long loses nothing.
	if err := subscribe(true, "a.v1.Old"); err != nil {
		t.Fatal(err)
	}
	listens("a.v1.Old")

	// Nobody of beta was there for hours, and then the older replica is the first that starts.
	if err := subscribe(true, "a.v1.Old", "a.v1.New"); err != nil {
		t.Fatal(err)
	}
	v.exec(t, "UPDATE alpha.cleave_subscriber SET types = (SELECT jsonb_object_agg(key, now() - interval '2 hours') FROM jsonb_each(types))")
	if err := errors.Join(subscribe(false, "a.v1.Old"), subscribe(true, "a.v1.Old")); err != nil {
		t.Fatal(err)
	}
	listens("a.v1.New", "a.v1.Old")
}

// The log can be read in pages, with messages for people.
func TestListEvents(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	for i := range 5 {
		alpha.mustPublish(t, fmt.Sprintf("sub_%d", i%2), int64(i), fmt.Sprint(i))
	}
	var got []string
	request := &eventv1.ListEventsRequest{PageSize: 2, Range: &eventv1.Range{Subject: "sub_0"}}
	for {
		page, err := alpha.operator("alpha").ListEvents(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.GetEvents() {
			got = append(got, e.GetJson())
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	if want := []string{`{"case":"0"}`, `{"case":"2"}`, `{"case":"4"}`}; !slices.Equal(got, want) {
		t.Errorf("the log of sub_0 is %q, want %q", got, want)
	}
	if _, err := alpha.operator("alpha").ListEvents(t.Context(), &eventv1.ListEventsRequest{PageToken: "made up"}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a token that nobody gave out: %v", err)
	}
}
