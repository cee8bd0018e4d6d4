package event

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/durationpb"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/platform/db"
)

// factPage is how many facts are in one answer.
const factPage = 500

// deliveryFacts selects how far the way of each event to the subscriber $1 has come.
const deliveryFacts = `SELECT e.id, e.type, e.subject, extract(epoch FROM now() - e.time)::float8, CASE
			WHEN e.time < coalesce((s.since ->> e.type)::timestamptz, 'infinity') OR NOT s.types ? e.type THEN 1
			WHEN refused.kept THEN 5 WHEN NOT refused.kept THEN 4
			WHEN (e.era, e.transaction, e.position) > (s.era, s.transaction, s.position) THEN 2 ELSE 3 END
		FROM cleave_subscriber s CROSS JOIN cleave_event e
		LEFT JOIN (SELECT args ->> 'event' AS event, bool_and(state = 'discarded') AS kept FROM river_job WHERE ` + unfinished + ` GROUP BY 1) refused ON refused.event = e.id
		WHERE s.name = $1 ORDER BY e.id COLLATE "C"`

// StreamDeliveryFacts reads the whole log by one statement, which sorts it, on disk if it is large.
func (s operatorService) StreamDeliveryFacts(
	ctx context.Context, r *eventv1.StreamDeliveryFactsRequest, stream *connect.ServerStream[eventv1.StreamDeliveryFactsResponse],
) error {
	var listens bool
	if err := s.db.Pool().QueryRow(ctx, "SELECT EXISTS (SELECT FROM cleave_subscriber WHERE name = $1)", r.GetSubscriber()).Scan(&listens); err != nil {
		return db.Unavailable(fmt.Errorf("load the subscription of %s: %w", r.GetSubscriber(), err))
	}
	if !listens {
		return s.unknown(ctx, r.GetSubscriber())
	}
	rows, err := s.db.Pool().Query(ctx, deliveryFacts, r.GetSubscriber())
	if err != nil {
		return db.Unavailable(fmt.Errorf("read the deliveries to %s: %w", r.GetSubscriber(), err))
	}
	return inPages(rows, func(row pgx.Rows) (*eventv1.DeliveryFact, error) {
		fact, age, state := &eventv1.DeliveryFact{}, 0.0, int32(0)
		err := row.Scan(&fact.EventId, &fact.Type, &fact.Subject, &age, &state)
		fact.Age, fact.State = durationpb.New(time.Duration(age*float64(time.Second))), eventv1.DeliveryState(state)
		return fact, err
	}, func(page []*eventv1.DeliveryFact) error {
		return stream.Send(&eventv1.StreamDeliveryFactsResponse{Facts: page})
	})
}

// StreamAppliedFacts reads the inbox of a publisher by one statement.
func (s operatorService) StreamAppliedFacts(
	ctx context.Context, r *eventv1.StreamAppliedFactsRequest, stream *connect.ServerStream[eventv1.StreamAppliedFactsResponse],
) error {
	rows, err := s.db.Pool().Query(ctx, `SELECT id FROM cleave_inbox WHERE publisher = $1 ORDER BY id COLLATE "C"`, r.GetPublisher())
	if err != nil {
		return db.Unavailable(fmt.Errorf("read what of %s was applied: %w", r.GetPublisher(), err))
	}
	return inPages(rows, func(row pgx.Rows) (eventID string, err error) { return eventID, row.Scan(&eventID) }, func(page []string) error {
		return stream.Send(&eventv1.StreamAppliedFactsResponse{EventIds: page})
	})
}

// inPages sends what rows yield, page by page. No more than one is in memory.
func inPages[F any](rows pgx.Rows, scan func(pgx.Rows) (F, error), send func([]F) error) error {
	defer rows.Close()
	var page []F
	flush := func() error {
		if len(page) == 0 {
			return nil
		}
		err := send(page)
		page = page[:0]
		return err
	}
	for rows.Next() {
		fact, err := scan(rows)
		if err != nil {
			return db.Unavailable(fmt.Errorf("read facts: %w", err))
		}
		if page = append(page, fact); len(page) == factPage {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := rows.Err(); err != nil {
		return db.Unavailable(fmt.Errorf("read facts: %w", err))
	}
	return flush()
}
