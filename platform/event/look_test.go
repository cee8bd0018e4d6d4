package event_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/platform/event"
)

// look returns how far a subscriber of alpha is.
func (m *toy) look(t testing.TB, subscriber string) event.Look {
	t.Helper()
	var batch pgx.Batch
	look := m.Look(&batch)
	if err := m.DB.Watch().SendBatch(t.Context(), &batch).Close(); err != nil {
		t.Fatal(err)
	}
	for _, l := range *look {
		if l.Subscriber == subscriber {
			return l
		}
	}
	t.Fatalf("there is no %s in %v", subscriber, *look)
	return event.Look{}
}

// count returns the sum of a counter.
func count(t testing.TB, e *event.Events, name string) (sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(e.Metrics()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name {
				sum += metric.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// A look tells how far a subscriber is behind that is away, that it is not when all that it wants has been delivered, and what it has refused.
func TestLook(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	beta := v.start(t, "beta", &listener{from: event.Beginning, refuse: func(_ context.Context, _ event.Event, text string) error {
		if text == "poison" {
			return errors.New("does not taste")
		}
		return nil
	}})
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 1, "one")
	alpha.mustPublish(t, "sub_2", 2, "poison")
	alpha.mustPublish(t, "sub_1", 3, "two")
	v.hears(t, "beta", "one", "two")
	v.eventually(t, func() bool { return alpha.look(t, "beta") == event.Look{Subscriber: "beta", Retrying: 1} }, func() string { return "nothing is owed but what is tried again" })

	if n := count(t, alpha.Events, "cleave_event_delivered_total"); n != 2 {
		t.Errorf("%v events count as delivered, want 2", n)
	}
	if r, err := alpha.replay(t, &eventv1.ReplayRequest{Subscriber: "beta", Range: &eventv1.Range{Subject: "sub_1"}}); err != nil || r.GetDelivered() != 2 {
		t.Fatalf("%v, %v", r, err)
	}
	v.eventually(t, func() bool { return count(t, beta.Events, "cleave_inbox_duplicates_total") == 2 }, func() string { return "both have come once more" })

	beta.Stop()
	alpha.mustPublish(t, "sub_1", 4, "three")
	alpha.mustPublish(t, "sub_1", 5, "four")
	v.exec(t, "UPDATE alpha.river_job SET state = 'discarded', finalized_at = now() WHERE kind = $1", event.RedeliveryKind)
	v.exec(t, "UPDATE alpha.cleave_event SET time = now() - interval '1 hour' WHERE sequence = 4")
	// What it does not want, as it was published by hand, is no lag.
	v.exec(t, `INSERT INTO alpha.cleave_event (era, id, type, subject, sequence, correlation_id, trace, data, time)
		VALUES (alpha.cleave_era(), 'evt_other', 'alpha.v1.Other', 'sub_2', 1, '', '', '', now() - interval '1 day')`)
	got := alpha.look(t, "beta")
	if age := got.Oldest; age < time.Hour || age > 2*time.Hour {
		t.Errorf("the oldest is %s old, want an hour", age)
	}
	if got.Oldest = 0; got != (event.Look{Subscriber: "beta", Events: 2, Kept: 1}) {
		t.Errorf("it is at %+v, want 2 events behind, and one kept", got)
	}

	rows, _ := alpha.DB.Watch().Query(t.Context(), "EXPLAIN "+event.LookSubscribers)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	for _, index := range []string{"Index Scan using cleave_event_pkey on cleave_event", "Index Scan using river_job_kind on river_job"} {
		if !strings.Contains(text, index) {
			t.Errorf("it does not have %q:\n%s", index, text)
		}
	}
}

// However many are far behind, a look reads about as much as for one: when all are away, it must not take so long that it says nothing.
func TestLookAtManyWhoAreFarBehind(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	v.exec(t, `INSERT INTO alpha.cleave_event (era, id, type, subject, sequence, correlation_id, trace, data, time)
		SELECT alpha.cleave_era(), 'evt_' || n, 'alpha.v1.Other', 's', n, '', '', '', now() FROM generate_series(1, 30000) n`)
	away := func(first, last int) {
		v.exec(t, `INSERT INTO alpha.cleave_subscriber (name, types, era, transaction, position, lease_owner, lease_until)
			SELECT 'away' || n, '{"alpha.v1.Other": "2026-01-01T00:00:00Z"}', 0, '0', 0, 'test', now() + interval '1 hour' FROM generate_series($1::int, $2::int) n`, first, last)
	}
	away(1, 1)
	if got := alpha.look(t, "away1").Events; got != 30_000 {
		t.Errorf("alone it is %d behind, want 30000", got)
	}
	away(2, 6)
	for _, name := range []string{"away1", "away6"} {
		if got := alpha.look(t, name).Events; got != 20_000 {
			t.Errorf("of six %s is counted to be %d behind, want 20000", name, got)
		}
	}
}
