package job_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// A look tells how many jobs there are in each state, and how long the oldest has been waiting whose time has come.
func TestLook(t *testing.T) {
	t.Parallel()
	b := setup(t, nothing)
	if err := b.jobs.Stop(moduletest.As(t, "")); err != nil { // Nobody works them.
		t.Fatal(err)
	}
	b.Exec(t, "DELETE FROM chores.river_job")
	b.insert(t, nil, time.Now().Add(-time.Hour), "due")
	b.insert(t, nil, time.Time{}, "now")
	b.insert(t, nil, time.Now().Add(time.Hour), "later", "later still")
	b.Exec(t, `INSERT INTO chores.river_job (kind, args, max_attempts, state, scheduled_at, finalized_at)
		SELECT 'chores.other', '{}', 3, s::chores.river_job_state, now() - interval '1 day', CASE WHEN s <> 'running' THEN now() END
		FROM unnest('{running,discarded,discarded,completed,cancelled}'::text[]) s`)
	var batch pgx.Batch
	look := b.jobs.Look(&batch)
	if err := b.store.Watch().SendBatch(t.Context(), &batch).Close(); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"available": 1, "scheduled": 3, "retryable": 0, "running": 1, "discarded": 2}; !maps.Equal(look.Counts, want) {
		t.Errorf("the jobs are %v, want %v", look.Counts, want)
	}
	if look.Waiting < time.Hour || look.Waiting > 2*time.Hour {
		t.Errorf("the oldest that is due has been waiting for %s, want an hour", look.Waiting)
	}

	rows, _ := b.store.Watch().Query(t.Context(), "EXPLAIN "+job.LookStates)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	if strings.Count(text, "using river_job_prioritized_fetching_index") != 2 || strings.Contains(text, "Sort") {
		t.Errorf("the jobs are looked at like this:\n%s", text)
	}
}
