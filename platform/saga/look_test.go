package saga_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/saga"
)

// A look tells at which step open sagas are, in which state, and how old the oldest is: of each step that there is, and of what only another
// release knows.
func TestLook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.process()
	b.Exec(t, `INSERT INTO trips.cleave_saga (id, kind, state, phase, position, stuck, leased, due, create_time, steps) VALUES
		('running', 'trip', '{}', 'forward', 1, false, true, now() + interval '1 hour', now() - interval '1 minute', '{train,hotel,tour}'),
		('lost', 'trip', '{}', 'forward', 1, false, true, now() + interval '1 hour' - interval '2 hours', now() - interval '3 hours', '{train,hotel,tour}'),
		('old', 'trip', '{}', 'back', 0, true, false, NULL, now() - interval '2 days', NULL),
		('foreign', 'walk', '{}', 'forward', 0, false, false, now() + interval '1 hour', now(), NULL),
		('done', 'trip', '{}', 'done', 2, false, false, NULL, now() - interval '9 days', '{train,hotel,tour}')`)
	var batch pgx.Batch
	look := p.Look(&batch)
	if err := b.db.Watch().SendBatch(t.Context(), &batch).Close(); err != nil {
		t.Fatal(err)
	}
	got := map[string]saga.Place{}
	for _, place := range *look {
		place.Oldest = place.Oldest.Round(time.Minute)
		got[place.Kind+"/"+place.Step] = place
	}
	for _, want := range []saga.Place{
		{Kind: "trip", Step: "train", Stuck: 1, Oldest: 48 * time.Hour}, {Kind: "trip", Step: "hotel", Running: 1, Waiting: 1, Oldest: 3 * time.Hour},
		{Kind: "trip", Step: "tour"}, {Kind: "walk", Step: "unknown", Waiting: 1},
	} {
		if at := want.Kind + "/" + want.Step; got[at] != want {
			t.Errorf("at %s there are %+v, want %+v", at, got[at], want)
		}
	}
	if len(got) != 4 {
		t.Errorf("there are %d places: %v", len(got), got)
	}

	rows, _ := b.db.Watch().Query(t.Context(), "EXPLAIN "+saga.LookSteps)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "Index Scan using cleave_saga_open") {
		t.Errorf("the sagas are looked at like this:\n%s", text)
	}
}
