package app

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/health"
	"github.com/cleave-go/cleave/platform/postgrestest"
)

// forget lets nobody get an answer from before.
func forget(r *running) {
	for _, m := range r.observer.modules {
		m.recent = health.NewAnswer(lookEvery, db.WatchTimeout, m.look)
	}
	time.Sleep(time.Second) // So long the last check is good.
}

// The figures say what is in the database. They are kept for a while, whoever asks; and what a database that is away cannot say is left out.
func TestFigures(t *testing.T) {
	server := postgrestest.Server(t)
	configure(t)
	t.Setenv("DATABASE_URL", server.URL())
	r, conn := jobsAt(t, kept,
		`INSERT INTO parity.river_job (kind, queue, args, max_attempts, state, scheduled_at, finalized_at) SELECT 'platform.deliver_event', 'elsewhere', '{"subscriber": "ghost"}', 3,
			s::parity.river_job_state, now() + interval '1 hour', CASE WHEN s <> 'scheduled' THEN now() END FROM unnest('{scheduled,scheduled,discarded,completed}'::text[]) s`,
		`INSERT INTO parity.cleave_saga (id, kind, state, phase, position, stuck, leased, create_time, steps) VALUES ('s', 'trip', '{}', 'back', 1, true, false, now() - interval '1 day', '{train,hotel}')`,
		`INSERT INTO parity.cleave_event (id, type, subject, sequence, correlation_id, trace, data, time)
			SELECT 'evt_' || n, CASE WHEN n < 4 THEN 'parity.v1.Wanted' ELSE 'parity.v1.Other' END, 's', n, '', '', '', now() - n * interval '1 minute' FROM generate_series(1, 9) n`,
		`INSERT INTO parity.cleave_subscriber (name, types, era, transaction, position, lease_owner, lease_until) VALUES ('ghost', '{"parity.v1.Wanted": "2026-01-01T00:00:00Z"}', 0, '0', 0, 'test', now() + interval '1 hour')`)
	figures := func() string { return fetch(t, http.MethodGet, r.admin+"/metrics", nil, http.StatusOK) }
	says := figures()
	for _, want := range []string{
		`cleave_event_lag{module="parity",subscriber="ghost"} 3`,
		`cleave_event_lag_seconds{module="parity",subscriber="ghost"} 18`, // And some seconds.
		`cleave_event_failed{module="ghost",publisher="parity",state="retrying"} 2`,
		`cleave_event_failed{module="ghost",publisher="parity",state="kept"} 1`,
		`cleave_jobs{module="parity",state="discarded"} 2`,
		`cleave_jobs{module="parity",state="scheduled"} 2`,
		`cleave_sagas{kind="trip",module="parity",state="stuck",step="hotel"} 1`,
		`cleave_sagas{kind="trip",module="parity",state="running",step="hotel"} 0`,
		`cleave_saga_age_seconds{kind="trip",module="parity",step="hotel"} 864`,
		`cleave_db_up{module="parity"} 1`,
		`cleave_db_connection_budget 60`,
		`db_client_connection_max{db_client_connection_pool_name="parity"} 60`,
	} {
		if !strings.Contains(says, "\n"+want) {
			t.Errorf("it does not say %s", want)
		}
	}
	if _, err := conn.Exec(t.Context(), strings.Replace(kept, "1000001", "1000002", 1)); err != nil {
		t.Fatal(err)
	}
	if again := figures(); !strings.Contains(again, "\n"+`cleave_jobs{module="parity",state="discarded"} 2`) {
		t.Error("the next one who asks has the database asked again")
	}
	locked, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := locked.Exec(t.Context(), "LOCK TABLE parity.cleave_event"); err != nil {
		t.Fatal(err)
	}
	forget(r)
	if slow := figures(); !strings.Contains(slow, "\n"+`cleave_db_up{module="parity"} 1`) || strings.Contains(slow, "cleave_event_lag{") ||
		!strings.Contains(slow, "\ncleave_jobs{") || !strings.Contains(slow, "\ncleave_sagas{") {
		t.Errorf("while a table is locked it says\n%s", slow)
	}
	if err := locked.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	forget(r)
	away := figures()
	if !strings.Contains(away, "\n"+`cleave_db_up{module="parity"} 0`) || !strings.Contains(away, "\ncleave_ready 0\n") || strings.Contains(away, "cleave_jobs{") || strings.Contains(away, "cleave_event_lag{") {
		t.Errorf("without its database it says\n%s", away)
	}
}
