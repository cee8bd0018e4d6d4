package event_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/event"
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
		Principal: rpc.Principal{Subject: "usr_1"}, CorrelationID: "corr-1", Trace: "00-1-2-01", RequestID: "req-1",
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
	// Nobody acts on behalf of the customer who once ordered.
	if want := (rpc.Metadata{CorrelationID: "corr-1", Trace: "00-1-2-01", Caller: "alpha"}); !reflect.DeepEqual(first.metadata, want) {
		t.Errorf("the handler's metadata are %+v, want %+v", first.metadata, want)
	}
}
