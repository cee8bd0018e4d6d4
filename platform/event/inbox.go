package event

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	// eventTimeout bounds a batch that is applied in one transaction, and an event that is applied by itself.
	eventTimeout = 5 * time.Second
	// answerTime is what is left of a delivery's time for its answer.
	answerTime = time.Second
)

// deliveryService is for those whom this module listens to.
type deliveryService struct{ *Events }

// Deliver applies a batch of the calling module's events in one transaction. If one of them cannot be applied, nothing of that is kept,
// and each is applied in a transaction of its own.
func (s deliveryService) Deliver(ctx context.Context, r *eventv1.DeliverRequest) (*eventv1.DeliverResponse, error) {
	publisher := rpc.MetadataOf(ctx).Caller
	if _, listens := s.listens[publisher]; !listens {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "", "%s does not listen to %s: remove the subscription, unless another release of %s does", s.module, publisher, s.module)
	}
	all := int32(len(r.GetEvents()))
	err := s.apply(ctx, publisher, r.GetEvents(), r.GetForce())
	if err == nil {
		fault.Point("event/inbox/committed")
		return &eventv1.DeliverResponse{Handled: all}, nil
	}
	response := &eventv1.DeliverResponse{}
	for _, event := range r.GetEvents() {
		if deadline, ok := ctx.Deadline(); ok && response.Handled > 0 && time.Until(deadline) < eventTimeout+answerTime {
			break // The others come again.
		}
		if all > 1 { // Otherwise it has just been tried.
			err = s.apply(ctx, publisher, []*eventv1.Event{event}, r.GetForce())
		}
		if err != nil {
			if ctx.Err() != nil || isUnavailable(err) {
				if response.Handled > 0 {
					break
				}
				return nil, err
			}
			response.Failures = append(response.Failures, &eventv1.DeliveryFailure{EventId: event.GetId(), Error: shorten(err.Error())})
		}
		response.Handled++
	}
	return response, nil
}

// isUnavailable reports whether an error is the database's fault and not the event's.
func isUnavailable(err error) bool {
	var connectErr *connect.Error
	return errors.As(db.Unavailable(err), &connectErr) && connectErr.Code() == connect.CodeUnavailable
}

// apply applies the events that have not been applied yet, in their order and in one transaction.
func (e *Events) apply(ctx context.Context, publisher string, events []*eventv1.Event, force bool) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	begun, duplicates := false, 0
	err := e.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		fresh, err := e.claim(ctx, tx, publisher, events, force)
		if err != nil {
			return err
		}
		begun, duplicates = true, len(events)-len(fresh)
		for _, event := range events {
			if !fresh[event.GetId()] {
				continue
			}
			fresh[event.GetId()] = e.skipInbox // An event that is twice in a batch is applied once, too.
			if err := e.handle(ctx, tx, publisher, event); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !begun { // No handler has seen them, so nothing is wrong with them.
		return fmt.Errorf("%w: %w", connect.NewError(connect.CodeUnavailable, errors.New("the inbox cannot be written")), err)
	}
	if err == nil && duplicates > 0 {
		e.metrics.duplicates.WithLabelValues(publisher).Add(float64(duplicates))
	}
	return err
}

// claim notes the events as applied and returns which of them were not. Who notes the same event waits here until the first has
// committed or rolled back; all do so in the order of the ids, so that none waits for another forever.
func (e *Events) claim(ctx context.Context, tx pgx.Tx, publisher string, events []*eventv1.Event, force bool) (map[string]bool, error) {
	ids := make([]string, len(events))
	for i, event := range events {
		ids[i] = event.GetId()
	}
	slices.Sort(ids)
	if e.skipInbox {
		return setOf(ids), nil
	}
	if force {
		db.Defer(tx, "DELETE FROM cleave_inbox WHERE publisher = $1 AND id = ANY($2)", publisher, ids)
	}
	rows, err := tx.Query(ctx, `INSERT INTO cleave_inbox (publisher, id) SELECT $1, id FROM unnest($2::text[]) WITH ORDINALITY AS t (id, number)
		ORDER BY number ON CONFLICT DO NOTHING RETURNING id`, publisher, ids)
	if err != nil {
		return nil, fmt.Errorf("note the events as applied: %w", err)
	}
	fresh, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("note the events as applied: %w", err)
	}
	return setOf(fresh), nil
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// handle runs the handler of an event. A panic is an error of the event.
func (e *Events) handle(ctx context.Context, tx pgx.Tx, publisher string, event *eventv1.Event) (err error) {
	handle := e.handlers[event.GetType()]
	if handle == nil {
		return fmt.Errorf("%s has no handler for %s", e.module, event.GetType())
	}
	defer func() {
		if p := recover(); p != nil {
			e.log.ErrorContext(about(ctx, event), "event handler panicked", "type", event.GetType(), "event", event.GetId(), "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s panicked", event.GetType())
		}
	}()
	principal, err := rpc.DecodePrincipal(event.GetPrincipal())
	if err != nil {
		return err
	}
	metadata := rpc.Metadata{Principal: principal, CorrelationID: event.GetCorrelationId(), Trace: event.GetTrace(), Caller: publisher}
	ctx, span := startHandler(ctx, rpc.WithMetadata(ctx, metadata), publisher, e.module, event)
	defer span.End() // Of a handler that panics.
	err = handle(ctx, tx, Event{
		ID: event.GetId(), Source: publisher, Type: event.GetType(), Subject: event.GetSubject(), Sequence: event.GetSequence(),
		Time: event.GetTime().AsTime(), CorrelationID: event.GetCorrelationId(), Trace: event.GetTrace(),
	}, event.GetData())
	rpc.EndSpan(span, err)
	return err
}
