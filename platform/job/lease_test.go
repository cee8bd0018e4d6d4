package job_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// running puts jobs into the database that a client is running. Its lease ends so many seconds from now.
func (b *bundle) running(t *testing.T, client, replica string, seconds int, names ...string) {
	t.Helper()
	b.Exec(t, "INSERT INTO chores.cleave_job_client VALUES ($1, $2, now() - interval '1 day', now() + make_interval(secs => $3))", client, replica, seconds)
	for _, name := range names {
		b.Exec(t, `INSERT INTO chores.river_job (kind, args, max_attempts, state, attempt, attempted_at, attempted_by)
			VALUES ('chores.chore', jsonb_build_object('name', $1::text), 2, 'running', 1, now(), ARRAY['earlier', $2])`, name, client)
	}
}

// held sets since when the test's own client has held its lease.
func (b *bundle) held(t *testing.T, since string) {
	t.Helper()
	b.Exec(t, "UPDATE chores.cleave_job_client SET since_time = "+since+" WHERE client LIKE 'worker_%'")
}

func (b *bundle) tend(t *testing.T) {
	t.Helper()
	if err := b.jobs.Tend(moduletest.As(t, "")); err != nil {
		t.Fatal(err)
	}
}

// stillRunning returns the names of the jobs that belong to somebody else yet.
func (b *bundle) stillRunning(t *testing.T) string {
	t.Helper()
	return strings.Join(moduletest.Query[string](t, b.House,
		"SELECT args->>'name' FROM chores.river_job WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] NOT LIKE 'worker_%' ORDER BY 1"), " ")
}

// A process that was killed cannot give its lease back, but its successor need not wait for it.
func TestSuccessorTakesOverAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, nothing)
	b.running(t, "killed", "replica-1", 3600, "mine")
	b.running(t, "alive", "replica-2", 3600, "theirs")
	b.Exec(t, "UPDATE chores.river_leader SET leader_id = 'killed', expires_at = now() + interval '1 hour'")
	successor, err := job.New(b.store.DB, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b.handle(successor)
	if err := successor.StartAs(t.Context(), "replica-1"); err != nil {
		t.Fatal(err)
	}
	defer successor.Stop(moduletest.As(t, ""))
	b.held(t, "'infinity'") // So that nobody takes over as from the dead.
	if name := b.next(t); name != "mine" {
		t.Errorf("%q was worked again", name)
	}
	moduletest.Eventually(t, "the job is completed", func() bool { return b.states(t)["completed"] == 1 })
	if got := b.stillRunning(t); got != "theirs" {
		t.Errorf("others still run %q, want theirs", got)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM chores.river_leader WHERE leader_id = 'killed'"); n != 0 {
		t.Error("the killed client still leads")
	}
}

// A process that never comes back is missed by the others.
func TestJobsOfTheDeadAreWorkedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, nothing)
	b.held(t, "'infinity'") // Not even for a moment, until the test says otherwise.
	b.running(t, "dead", "replica-1", -1, "lost")
	b.running(t, "alive", "replica-2", 3600, "theirs")
	b.tend(t)
	if got := b.stillRunning(t); got != "lost theirs" {
		t.Fatalf("who has just come has left %q to others", got)
	}
	b.held(t, "now() - interval '1 hour'")
	b.tend(t)
	if name := b.next(t); name != "lost" {
		t.Errorf("%q was worked again", name)
	}
	moduletest.Eventually(t, "the job is completed", func() bool { return b.states(t)["completed"] == 1 })
	if got := b.stillRunning(t); got != "theirs" {
		t.Errorf("others still run %q, want theirs", got)
	}
}

// When the database was away, all leases have run out, and the first who comes back must not take the others for dead.
func TestNobodyIsBuriedAfterAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t, nothing)
	b.running(t, "slower", "replica-1", -1, "theirs")
	// The test's own client may renew at any time: whoever does is back after a gap.
	b.Exec(t, "UPDATE chores.cleave_job_client SET since_time = now() - interval '1 day', expire_time = now() - interval '1 minute'")
	b.tend(t)
	if got := b.stillRunning(t); got != "theirs" {
		t.Errorf("others still run %q, want theirs", got)
	}
}

// A job that kills its process each time does not do so for ever.
func TestJobThatKillsIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t, nothing)
	b.held(t, "'infinity'")
	b.running(t, "dead", "replica-1", -1, "fragile", "poison", "unlucky")
	const error = `jsonb_build_object('error', 'the process that ran it has ended')`
	for name, change := range map[string]string{
		"fragile": "attempt = max_attempts",
		"poison":  "max_attempts = 100, errors = array_fill(" + error + ", ARRAY[9])",
		"unlucky": "max_attempts = 100, errors = array_fill(" + error + ", ARRAY[8])",
	} {
		b.Exec(t, "UPDATE chores.river_job SET "+change+" WHERE args->>'name' = $1", name)
	}
	b.held(t, "now() - interval '1 hour'")
	b.tend(t)
	if name := b.next(t); name != "unlucky" {
		t.Errorf("%q was worked again", name)
	}
	moduletest.Eventually(t, "the job is completed", func() bool { return b.states(t)["completed"] == 1 })
	if states := b.states(t); states["discarded"] != 2 {
		t.Errorf("the jobs are %v, want two that are kept", states)
	}
}

func TestStopGivesTheLeaseBack(t *testing.T) {
	t.Parallel()
	b := setup(t, nothing)
	count := func() int64 {
		return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM chores.cleave_job_client")
	}
	if n := count(); n != 1 {
		t.Errorf("%d leases of one client", n)
	}
	if err := b.jobs.Stop(moduletest.As(t, "")); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 0 {
		t.Errorf("%d leases after the stop", n)
	}
}
