package event_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/event"
)

// deliveries returns what a subscriber's deliveries are said to be, by the sequence of the event, after making sure of the order.
func (v *village) deliveries(t *testing.T, operator *toy, subscriber string) map[int64]eventv1.DeliveryState {
	t.Helper()
	stream, err := operator.operator("alpha").StreamDeliveryFacts(t.Context(), &eventv1.StreamDeliveryFactsRequest{Subscriber: subscriber})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	states := map[int64]eventv1.DeliveryState{}
	var ids []string
	sequences := map[string]int64{}
	for _, row := range query[string](t, v, "SELECT id || ' ' || sequence FROM alpha.cleave_event") {
		var id string
		var sequence int64
		if _, err := fmt.Sscan(row, &id, &sequence); err != nil {
			t.Fatal(err)
		}
		sequences[id] = sequence
	}
	for stream.Receive() {
		for _, fact := range stream.Msg().GetFacts() {
			ids = append(ids, fact.GetEventId())
			states[sequences[fact.GetEventId()]] = fact.GetState()
			if fact.GetType() == "" || fact.GetSubject() == "" || fact.GetAge().AsDuration() < 0 {
				t.Errorf("the fact is %v", fact)
			}
		}
	}
	if err := stream.Err(); err != nil || !slices.IsSorted(ids) || len(ids) != len(sequences) {
		t.Errorf("%d of %d facts, sorted %t, %v", len(ids), len(sequences), slices.IsSorted(ids), err)
	}
	return states
}

// applied returns the ids of alpha's events that a module says it has applied.
func applied(t *testing.T, m *toy, module string) (ids []string) {
	t.Helper()
	stream, err := m.operator(module).StreamAppliedFacts(t.Context(), &eventv1.StreamAppliedFactsRequest{Publisher: "alpha"})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for stream.Receive() {
		ids = append(ids, stream.Msg().GetEventIds()...)
	}
	if err := stream.Err(); err != nil || !slices.IsSorted(ids) {
		t.Errorf("the ids are sorted: %t, %v", slices.IsSorted(ids), err)
	}
	return ids
}

// The log says of each event how far it has come to a subscriber, and the inbox what was applied, in the same order.
func TestFacts(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	alpha.mustPublish(t, "sub_1", 1, "too early")
	beta := v.start(t, "beta", &listener{from: event.Now, refuse: func(_ context.Context, _ event.Event, text string) error {
		if text == "poison" || text == "worse" {
			return errors.New("does not taste")
		}
		return nil
	}})
	v.subscribed(t, "beta")
	// Gamma wants all and takes nothing.
	subscribe := eventv1cleave.NewSubscriptionServiceClient(v.start(t, "gamma", nil).Caller(eventv1cleave.SubscriptionService.Of("alpha")).At("alpha"))
	if _, err := subscribe.Subscribe(t.Context(), &eventv1.SubscribeRequest{Types: []string{look}, From: eventv1.From_FROM_BEGINNING}); err != nil {
		t.Fatal(err)
	}
	const many = 700 // More than a page.
	if err := alpha.DB.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		var err error
		for i := int64(2); i < many; i++ {
			text := map[int64]string{2: "poison", 3: "worse"}[i]
			err = errors.Join(err, alpha.Publish(ctx, tx, "sub_1", i, &parityv1.LookRequest{Case: text}))
		}
		return errors.Join(err, alpha.Publish(ctx, tx, "sub_1", many, &parityv1.CallRequest{}))
	}); err != nil {
		t.Fatal(err)
	}
	count := func() int { return query[int](t, v, "SELECT count(*) FROM beta.cleave_inbox")[0] }
	v.eventually(t, func() bool { return count() == many-4 }, func() string { return fmt.Sprintf("beta has applied %d", count()) })
	v.eventually(t, func() bool {
		return v.deliveries(t, alpha, "beta")[many-1] == eventv1.DeliveryState_DELIVERY_STATE_DELIVERED
	}, func() string { return "the cursor has passed them" })
	v.exec(t, "UPDATE alpha.river_job SET state = 'discarded', finalized_at = now() WHERE kind = $1 AND args ->> 'event' = (SELECT id FROM alpha.cleave_event WHERE sequence = 3)", event.RedeliveryKind)

	toBeta, toGamma := v.deliveries(t, alpha, "beta"), v.deliveries(t, alpha, "gamma")
	for sequence, want := range map[int64][2]eventv1.DeliveryState{
		1:        {eventv1.DeliveryState_DELIVERY_STATE_NOT_OWED, eventv1.DeliveryState_DELIVERY_STATE_WAITING},
		2:        {eventv1.DeliveryState_DELIVERY_STATE_RETRYING, eventv1.DeliveryState_DELIVERY_STATE_WAITING},
		3:        {eventv1.DeliveryState_DELIVERY_STATE_KEPT, eventv1.DeliveryState_DELIVERY_STATE_WAITING},
		4:        {eventv1.DeliveryState_DELIVERY_STATE_DELIVERED, eventv1.DeliveryState_DELIVERY_STATE_WAITING},
		many - 1: {eventv1.DeliveryState_DELIVERY_STATE_DELIVERED, eventv1.DeliveryState_DELIVERY_STATE_WAITING},
		many:     {eventv1.DeliveryState_DELIVERY_STATE_NOT_OWED, eventv1.DeliveryState_DELIVERY_STATE_NOT_OWED},
	} {
		if got := [2]eventv1.DeliveryState{toBeta[sequence], toGamma[sequence]}; got != want {
			t.Errorf("event %d is on its way to beta and gamma: %v, want %v", sequence, got, want)
		}
	}
	if ids := applied(t, beta, "beta"); len(ids) != many-4 {
		t.Errorf("beta says that it has applied %d events", len(ids))
	}
	stream, err := alpha.operator("alpha").StreamDeliveryFacts(t.Context(), &eventv1.StreamDeliveryFactsRequest{Subscriber: "delta"})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeNotFound {
		t.Errorf("of who does not listen it says %v, %v", stream.Msg(), stream.Err())
	}
}

// What a subscription did not name when an event was published is not owed, also when it is named later, and stays owed when it is
// confirmed.
func TestFactsOfLaterType(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	client := eventv1cleave.NewSubscriptionServiceClient(v.start(t, "beta", nil).Caller(eventv1cleave.SubscriptionService.Of("alpha")).At("alpha"))
	subscribe := func(types ...string) {
		t.Helper()
		if _, err := client.Subscribe(t.Context(), &eventv1.SubscribeRequest{Types: types, From: eventv1.From_FROM_NOW}); err != nil {
			t.Fatal(err)
		}
	}
	subscribe("a.v1.Other")
	alpha.mustPublish(t, "sub_1", 1, "too early")
	subscribe("a.v1.Other", look)
	v.exec(t, "UPDATE alpha.cleave_subscriber SET since = since || jsonb_build_object($1::text, now())", look) // Its commit has had its time.
	alpha.mustPublish(t, "sub_1", 2, "owed")
	subscribe("a.v1.Other", look)
	got := v.deliveries(t, alpha, "beta")
	if got[1] != eventv1.DeliveryState_DELIVERY_STATE_NOT_OWED || got[2] != eventv1.DeliveryState_DELIVERY_STATE_WAITING {
		t.Errorf("the deliveries are %v", got)
	}
}
