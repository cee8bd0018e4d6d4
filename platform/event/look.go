package event

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// lookLag is how far behind the cursors the log is read, of all subscribers together, so that a look takes no longer when all are away;
	// but lookEach for each of them: further than a worker goes on without writing the cursor down.
	lookLag  = 100_000
	lookEach = 20_000
	// lookRefused is how many refused events are counted, of all subscribers together.
	lookRefused = 10_000
)

// Look is how far a subscriber is, in figures.
type Look struct {
	Subscriber string
	// Events are those that it wants among the next behind its cursor, and Oldest is the age of the first of them. What it does not want is
	// no lag: a worker passes over it long before it writes that down. The next are 100,000, shared among all subscribers, and at least 20,000.
	Events int
	Oldest time.Duration
	// Retrying are the events that it has refused and gets again, and Kept those that wait for a person.
	Retrying, Kept int
}

var lookSubscribers = fmt.Sprintf(`SELECT s.name, lag.events, greatest(now() - lag.since, '0'), coalesce(refused.retrying, 0), coalesce(refused.kept, 0)
	FROM cleave_subscriber s CROSS JOIN LATERAL (
		SELECT count(*) AS events, min(time) AS since FROM (
			SELECT type, time FROM cleave_event WHERE (era, transaction, position) > (s.era, s.transaction, s.position)
			ORDER BY era, transaction, position LIMIT (SELECT greatest(%d / greatest(count(*), 1), %d) FROM cleave_subscriber)
		) behind WHERE s.types ? type
	) lag LEFT JOIN (
		SELECT subscriber, count(*) FILTER (WHERE state <> 'discarded') AS retrying, count(*) FILTER (WHERE state = 'discarded') AS kept FROM (
			SELECT args ->> 'subscriber' AS subscriber, state FROM river_job
			WHERE kind = '%s' AND state <> 'completed' AND state <> 'cancelled' LIMIT %d
		) first GROUP BY 1
	) refused ON refused.subscriber = s.name ORDER BY s.name LIMIT %d`, lookLag, lookEach, redeliveryKind, lookRefused, maxSubscribers)

// Look adds to a batch what fills the result, by one statement whose cost is bounded: all who listen to the module.
func (e *Events) Look(batch *pgx.Batch) *[]Look {
	look := &[]Look{}
	batch.Queue(lookSubscribers).Query(func(rows pgx.Rows) (err error) {
		if *look, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Look]); err != nil {
			return fmt.Errorf("look how far the subscribers of %s are: %w", e.module, err)
		}
		return nil
	})
	return look
}
