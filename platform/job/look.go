package job

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// lookCount is how far one counts.
const lookCount = 10_000

// Look is what a module owes itself, in figures.
type Look struct {
	// Counts are the jobs by state, at most 10,000 of each, for the states that an operator has to know of.
	Counts map[string]int
	// Waiting is how long the oldest job has been waiting that is due.
	Waiting time.Duration
}

// lookStates counts along the index by which River fetches jobs, which also has the first that is due of each state: all have one
// queue and one priority. Due are also those that River has not put to the available ones yet.
var lookStates = fmt.Sprintf(`SELECT s.name, (SELECT count(*) FROM (SELECT FROM river_job j WHERE j.state = s.name::river_job_state LIMIT %d) AS first),
		CASE WHEN s.waits THEN (SELECT now() - j.scheduled_at FROM river_job j
			WHERE j.state = s.name::river_job_state AND j.queue = '%s' AND j.priority = %d AND j.scheduled_at <= now() ORDER BY j.scheduled_at LIMIT 1) END
	FROM (VALUES ('available', true), ('retryable', true), ('scheduled', true), ('running', false), ('discarded', false)) AS s (name, waits)`,
	lookCount, river.QueueDefault, river.PriorityDefault)

// Look adds to a batch what fills the result, by one statement whose cost is bounded.
func (c *Client) Look(batch *pgx.Batch) *Look {
	look := &Look{Counts: map[string]int{}}
	batch.Queue(lookStates).Query(func(rows pgx.Rows) error {
		var state string
		var count int
		var waiting *time.Duration
		_, err := pgx.ForEachRow(rows, []any{&state, &count, &waiting}, func() error {
			look.Counts[state] = count
			if waiting != nil {
				look.Waiting = max(look.Waiting, *waiting)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("count the jobs of %s: %w", c.db.Module(), err)
		}
		return nil
	})
	return look
}
