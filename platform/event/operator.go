package event

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// operatorService is for the operator.
type operatorService struct{ *Events }

// maxLag is how far one counts how far a subscriber is behind.
const maxLag = 10_000

// ListEvents lists a page of the log.
func (s operatorService) ListEvents(ctx context.Context, r *eventv1.ListEventsRequest) (*eventv1.ListEventsResponse, error) {
	filter, err := proto.MarshalOptions{Deterministic: true}.Marshal(r.GetRange())
	if err != nil {
		return nil, err
	}
	last, err := page.Decode(r.GetPageToken(), string(filter))
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	var after cursor
	if last != "" {
		if after, err = parseCursor(last); err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, page.ErrToken)
		}
	}
	size := page.Size(r.GetPageSize())
	events, err := s.list(ctx, r.GetRange(), after, size+1, false)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	response := &eventv1.ListEventsResponse{}
	events, response.NextPageToken = page.Cut(events, size, string(filter), func(l logged) string { return l.cursor.String() })
	for _, l := range events {
		response.Events = append(response.Events, &eventv1.LoggedEvent{Event: l.event, Json: readable(l.event), Cursor: l.cursor.String()})
	}
	return response, nil
}

// list reads events behind a cursor that are in the range. If settled, only those before which nothing can appear any more.
func (e *Events) list(ctx context.Context, r *eventv1.Range, after cursor, limit int, settled bool) ([]logged, error) {
	condition := "(era, transaction, position) > ($1, $2, $3)"
	args := []any{after.era, after.transaction, after.position}
	add := func(clause string, arg any) {
		args = append(args, arg)
		condition += fmt.Sprintf(" AND "+clause, len(args))
	}
	if r.GetFromTime() != nil {
		add("time >= $%d", r.GetFromTime().AsTime())
	}
	if r.GetToTime() != nil {
		add("time < $%d", r.GetToTime().AsTime())
	}
	if len(r.GetTypes()) > 0 {
		add("type = ANY($%d)", r.GetTypes())
	}
	if r.GetSubject() != "" {
		add("subject = $%d", r.GetSubject())
	}
	if settled {
		condition += " AND " + below
	}
	args = append(args, limit)
	rows, err := e.db.Pool().Query(ctx, fmt.Sprintf("SELECT %s, data FROM cleave_event WHERE %s ORDER BY era, transaction, position LIMIT $%d",
		columns, condition, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	events, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (logged, error) {
		l := logged{event: &eventv1.Event{}}
		err := l.scan(row, &l.event.Data)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return events, nil
}

// readable writes the message of an event as JSON; "" if this binary does not know the type.
func readable(event *eventv1.Event) string {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(house + event.GetType()))
	if err != nil {
		return ""
	}
	m := kind.New().Interface()
	if proto.Unmarshal(event.GetData(), m) != nil {
		return ""
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		return ""
	}
	var compact bytes.Buffer // protojson puts spaces here and there, so that nobody relies on them.
	if json.Compact(&compact, text) != nil {
		return ""
	}
	return compact.String()
}

// ListSubscribers lists who listens to the module.
func (s operatorService) ListSubscribers(ctx context.Context, _ *eventv1.ListSubscribersRequest) (*eventv1.ListSubscribersResponse, error) {
	response := &eventv1.ListSubscribersResponse{}
	err := s.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		response.Subscribers = nil
		rows, err := tx.Query(ctx, `SELECT s.name, ARRAY(SELECT jsonb_object_keys(s.types) ORDER BY 1), s.era, s.transaction, s.position,
				lag.events, coalesce(extract(epoch FROM now() - lag.since), 0)::float8, coalesce(s.error, ''), s.error_time
			FROM cleave_subscriber s, LATERAL (
				SELECT count(*) AS events, min(time) AS since FROM (
					SELECT time FROM cleave_event WHERE (era, transaction, position) > (s.era, s.transaction, s.position) AND s.types ? type
					ORDER BY era, transaction, position LIMIT $1
				) waiting
			) lag ORDER BY s.name LIMIT $2`, maxLag, maxSubscribers)
		if err != nil {
			return fmt.Errorf("list subscribers: %w", err)
		}
		response.Subscribers, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*eventv1.Subscriber, error) {
			subscriber, at, since := &eventv1.Subscriber{}, cursor{}, (*time.Time)(nil)
			err := row.Scan(&subscriber.Name, &subscriber.Types, &at.era, &at.transaction, &at.position, &subscriber.LagEvents,
				&subscriber.LagSeconds, &subscriber.Error, &since)
			subscriber.Cursor = at.String()
			if since != nil {
				subscriber.ErrorTime = timestamppb.New(*since)
			}
			return subscriber, err
		})
		if err != nil {
			return fmt.Errorf("list subscribers: %w", err)
		}
		for _, subscriber := range response.Subscribers {
			if err := s.failures(ctx, tx, subscriber); err != nil {
				return err
			}
		}
		return nil
	})
	return response, err
}

// RetryKept has kept events tried once more.
func (s operatorService) RetryKept(ctx context.Context, r *eventv1.RetryKeptRequest) (*eventv1.RetryKeptResponse, error) {
	tag, err := s.db.Pool().Exec(ctx, `UPDATE river_job SET state = 'available', max_attempts = attempt + 1, scheduled_at = now(), finalized_at = NULL
		WHERE `+unfinished+` AND state = 'discarded' AND $2 IN ('', args ->> 'event')`, r.GetSubscriber(), r.GetEventId())
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("retry the kept events of %s: %w", r.GetSubscriber(), err))
	}
	return &eventv1.RetryKeptResponse{Retried: tag.RowsAffected()}, nil
}

// RemoveSubscriber ends a subscription.
func (s operatorService) RemoveSubscriber(ctx context.Context, r *eventv1.RemoveSubscriberRequest) (*eventv1.RemoveSubscriberResponse, error) {
	found := false
	err := s.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM cleave_subscriber WHERE name = $1", r.GetSubscriber())
		if err != nil {
			return fmt.Errorf("remove %s: %w", r.GetSubscriber(), err)
		}
		found = tag.RowsAffected() > 0
		db.Defer(tx, "DELETE FROM river_job WHERE "+unfinished+" AND state <> 'running'", r.GetSubscriber())
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, s.unknown(ctx, r.GetSubscriber())
	}
	s.deliveries.hurry()
	return &eventv1.RemoveSubscriberResponse{}, nil
}

// unknown says that a module does not listen, and who does.
func (e *Events) unknown(ctx context.Context, subscriber string) error {
	rows, err := e.db.Pool().Query(ctx, "SELECT name FROM cleave_subscriber ORDER BY name LIMIT $1", maxSubscribers)
	if err != nil {
		return db.Unavailable(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return db.Unavailable(err)
	}
	known := "nobody does"
	if len(names) > 0 {
		known = strings.Join(names, ", ") + " listen"
	}
	return rpc.Errorf(connect.CodeNotFound, "", "%s does not listen to %s: %s", subscriber, e.module, known)
}
