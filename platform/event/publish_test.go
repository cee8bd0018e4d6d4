package event_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/rpc"
)

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
