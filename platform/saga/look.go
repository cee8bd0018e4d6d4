package saga

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
)

// lookCount is how many open sagas are looked at, the oldest first.
const lookCount = 10_000

// Place is where open sagas of a kind are, in figures.
type Place struct {
	Kind, Step string
	// Running, Waiting and Stuck are how many are there. They are counted until 10,000 were, of all steps together.
	Running, Waiting, Stuck int
	// Oldest is the age of the oldest of them.
	Oldest time.Duration
}

// unknownStep is the step of a saga that only another release knows.
const unknownStep = "unknown"

var lookSteps = fmt.Sprintf(`SELECT kind, position, coalesce(steps[position + 1], ''), state, count(*), max(now() - create_time)
	FROM (SELECT kind, position, steps, create_time, `+stateNow+` AS state FROM cleave_saga
		WHERE phase IN ('forward', 'back') ORDER BY create_time, id LIMIT %d) AS first GROUP BY 1, 2, 3, 4`, lookCount)

// Look adds to a batch what fills the result, by one statement whose cost is bounded: all steps of the kinds that the module knows, and
// those that it does not know but has sagas of.
func (c *Client) Look(batch *pgx.Batch) *[]Place {
	look := &[]Place{}
	batch.Queue(lookSteps).Query(func(rows pgx.Rows) error {
		found := map[[2]string]*Place{}
		at := func(kind, name string) *Place {
			s := found[[2]string{kind, name}]
			if s == nil {
				s = &Place{Kind: kind, Step: name}
				found[[2]string{kind, name}] = s
			}
			return s
		}
		for _, k := range c.kinds {
			for _, step := range k.steps {
				at(k.name, step.Name)
			}
		}
		var kind, name string
		var position, count int
		var state sagav1.State
		var oldest time.Duration
		_, err := pgx.ForEachRow(rows, []any{&kind, &position, &name, &state, &count, &oldest}, func() error {
			if k := c.kinds[kind]; k != nil && name == "" && position < len(k.steps) {
				name = k.steps[position].Name
			}
			if name == "" {
				name = unknownStep
			}
			s := at(kind, name)
			switch state {
			case sagav1.State_STATE_RUNNING:
				s.Running += count
			case sagav1.State_STATE_STUCK:
				s.Stuck += count
			default:
				s.Waiting += count
			}
			s.Oldest = max(s.Oldest, oldest)
			return nil
		})
		if err != nil {
			return fmt.Errorf("count the sagas of %s: %w", c.db.Module(), err)
		}
		for _, s := range found {
			*look = append(*look, *s)
		}
		return nil
	})
	return look
}
