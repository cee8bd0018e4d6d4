package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

// replayAttempts is how often a replay tries a batch whose subscriber cannot be reached.
const replayAttempts = 8

// Replay delivers a part of the log again. It goes by itself and leaves the cursor alone: the inbox does not care who delivers. It ends
// with what can be read when it begins.
func (s operatorService) Replay(ctx context.Context, r *eventv1.ReplayRequest, stream *connect.ServerStream[eventv1.ReplayResponse]) error {
	within, err := s.replayed(ctx, r)
	if err != nil {
		return err
	}
	client := eventv1cleave.NewDeliveryServiceClient(s.caller(eventv1cleave.DeliveryService.Of(r.GetSubscriber())).At(r.GetSubscriber()))
	var at, end cursor
	if err := s.db.Pool().QueryRow(ctx, "SELECT cleave_era(), pg_snapshot_xmin(pg_current_snapshot())").Scan(&end.era, &end.transaction); err != nil {
		return db.Unavailable(err)
	}
	progress := &eventv1.ReplayResponse{}
	for {
		events, err := s.list(ctx, within, at, batchEvents, true)
		if err != nil {
			return db.Unavailable(err)
		}
		full := len(events) == batchEvents
		for len(events) > 0 && events[0].cursor.compare(end) < 0 {
			size := batchOf(events)
			for size > 1 && events[size-1].cursor.compare(end) >= 0 {
				size--
			}
			handled, failed, err := s.again(ctx, r, client, events[:size])
			if err != nil {
				return rpc.Errorf(connect.CodeOf(err), rpc.Reason(err), "%s after %d events, the last of %s: %s", r.GetSubscriber(), progress.Delivered, progress.GetTime().AsTime().Format(time.RFC3339), message(err))
			}
			at = events[handled-1].cursor
			progress.Delivered += int64(handled)
			progress.Failed += int64(failed)
			progress.Time = events[handled-1].event.GetTime()
			if err := stream.Send(progress); err != nil {
				return err
			}
			events = events[handled:]
		}
		if !full || len(events) > 0 {
			return stream.Send(progress)
		}
	}
}

// replayed returns the range of a replay, of the types only that the subscriber listens to.
func (e *Events) replayed(ctx context.Context, r *eventv1.ReplayRequest) (*eventv1.Range, error) {
	var types []string
	err := e.db.Pool().QueryRow(ctx, "SELECT ARRAY(SELECT jsonb_object_keys(types)) FROM cleave_subscriber WHERE name = $1", r.GetSubscriber()).Scan(&types)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, e.unknown(ctx, r.GetSubscriber())
	}
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("load the subscription of %s: %w", r.GetSubscriber(), err))
	}
	within := &eventv1.Range{}
	if r.GetRange() != nil {
		within = proto.CloneOf(r.GetRange())
	}
	if len(within.Types) == 0 {
		within.Types = types
		return within, nil
	}
	known := setOf(types)
	for _, kind := range within.Types {
		if !known[kind] {
			return nil, rpc.Errorf(connect.CodeInvalidArgument, "", "%s does not listen to %s", r.GetSubscriber(), kind)
		}
	}
	return within, nil
}

// again delivers a batch once more. What is refused is tried again as a job, like what is refused the first time.
func (e *Events) again(ctx context.Context, r *eventv1.ReplayRequest, client eventv1connect.DeliveryServiceClient, batch []logged) (handled, failed int, err error) {
	for attempt := range replayAttempts {
		var failures []redelivery
		failures, handled, err = e.call(ctx, client, r.GetSubscriber(), batch, r.GetForce(), nil)
		if err == nil && len(failures) > 0 {
			err = e.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
				return e.insert(ctx, tx, failures)
			})
		}
		if err == nil {
			return handled, len(failures), nil
		}
		select {
		case <-time.After(failedPause.after(attempt)):
		case <-ctx.Done():
			return 0, 0, err
		}
	}
	return 0, 0, err
}

// message returns the sentence of an error without its code.
func message(err error) string {
	var connectErr *connect.Error
	if errors.As(err, &connectErr) {
		return connectErr.Message()
	}
	return err.Error()
}
