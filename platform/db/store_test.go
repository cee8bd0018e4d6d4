package db_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/rpc"
)

var errAnything = errors.New("anything")

// insert adds a thing with plain SQL.
func insert(ctx context.Context, tx tx, name string) error {
	_, err := tx.Exec(ctx, "INSERT INTO thing (name) VALUES ($1)", name)
	return err
}

// insertByEnt adds things as generated code does: several rows, joined in what ent believes to be a transaction of its own.
func insertByEnt(ctx context.Context, driver dialect.Driver, names ...string) error {
	inner, err := driver.Tx(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		query, args := entsql.Dialect(dialect.Postgres).Insert("thing").Columns("name").Values(name).Returning("id").Query()
		var rows entsql.Rows
		if err := inner.Query(ctx, query, args, &rows); err != nil {
			return err
		}
		if _, err := entsql.ScanInt64(&rows); err != nil {
			return err
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return inner.Commit()
}

// chore is a job of the module.
type chore struct{}

func (chore) Kind() string { return "alpha.chore" }

// released requires that every connection is back and that a new transaction works.
func released(t *testing.T, s *store) {
	t.Helper()
	ctx, tick := bounded(t), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for s.Pool().Stat().AcquiredConns() != 0 { // One that is closed is so in the background.
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d connections are still in use", s.Pool().Stat().AcquiredConns())
		}
	}
	if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error { _, err := tx.Exec(ctx, "SELECT 1"); return err }); err != nil {
		t.Errorf("the next transaction: %v", err)
	}
}

// Rows by ent, a job by River and plain SQL are one thing.
func TestTxIsOneForEntRiverAndSQL(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	jobs, err := job.New(s.DB, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	job.Handle(jobs, func(context.Context, chore) error { return nil })
	write := func(end error) func(context.Context, tx) error {
		return func(ctx context.Context, tx tx) error {
			return errors.Join(insertByEnt(ctx, tx.Ent, "by ent", "by ent too"), insert(ctx, tx, "by sql"), jobs.Insert(ctx, tx, chore{}, time.Time{}), end)
		}
	}
	owed := func() (count int) {
		if err := s.Pool().QueryRow(bounded(t), "SELECT count(*) FROM river_job WHERE kind = 'alpha.chore'").Scan(&count); err != nil {
			t.Fatal(err)
		}
		return count
	}

	if err := s.Tx(bounded(t), write(errAnything)); !errors.Is(err, errAnything) {
		t.Fatalf("%v, want the error of the function", err)
	}
	if got := names(t, s); len(got) > 0 || owed() > 0 {
		t.Errorf("after a failure there are %q and %d jobs, want nothing", got, owed())
	}
	if err := s.Tx(bounded(t), write(nil)); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s); !slices.Equal(got, []string{"by ent", "by ent too", "by sql"}) || owed() != 1 {
		t.Errorf("after a commit there are %q and %d jobs", got, owed())
	}
	released(t, s)
}

// A write of several statements outside of a transaction could be left half done.
func TestEntOpensNoTransactionOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	if err := insertByEnt(bounded(t), s.Ent, "a"); err == nil || !strings.Contains(err.Error(), "make it in Store.Tx") {
		t.Errorf("%v, want a sentence", err)
	}
}

// A handler that was given somebody else's transaction uses ent within it.
func TestInJoinsTransaction(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	write := func(end error) error {
		return s.DB.Tx(bounded(t), func(ctx context.Context, outer pgx.Tx) error {
			joined := s.In(outer)
			return errors.Join(insertByEnt(ctx, joined.Ent, "by ent"), insert(ctx, joined, "by sql"), end)
		})
	}
	if err := write(errAnything); !errors.Is(err, errAnything) || len(names(t, s)) > 0 {
		t.Errorf("%v and %q, want the error and nothing", err, names(t, s))
	}
	if err := write(nil); err != nil || !slices.Equal(names(t, s), []string{"by ent", "by sql"}) {
		t.Errorf("%v and %q", err, names(t, s))
	}
	released(t, s)
}

// fail makes PostgreSQL fail with a SQLSTATE.
func fail(ctx context.Context, tx tx, code string) error {
	_, err := tx.Exec(ctx, fmt.Sprintf("DO $$ BEGIN RAISE EXCEPTION 'as the test wants it' USING ERRCODE = '%s'; END $$", code))
	return fmt.Errorf("do the work: %w", err)
}

func TestTxRunsAgainWhatPostgreSQLGaveUp(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	for _, c := range []struct {
		name, code       string
		failures, wanted int
		succeeds         bool
	}{
		{"serialization failure", "40001", 4, 5, true},
		{"deadlock", "40P01", 1, 2, true},
		{"serialization failure, always", "40001", 100, 5, false},
		{"unique violation", "23505", 1, 1, false},
		{"check violation", "23514", 1, 1, false},
		{"lock timeout", "55P03", 1, 1, false},
	} {
		attempts := 0
		err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
			attempts++
			if err := insert(ctx, tx, c.name); err != nil {
				return err
			}
			if attempts <= c.failures {
				return fail(ctx, tx, c.code)
			}
			return nil
		})
		if attempts != c.wanted || (err == nil) != c.succeeds {
			t.Errorf("%s: %d attempts, %v", c.name, attempts, err)
		}
		if !c.succeeds && code(err) != c.code {
			t.Errorf("%s: %v, want the error itself", c.name, err)
		}
		if got := slices.Contains(names(t, s), c.name); got != c.succeeds {
			t.Errorf("%s: the row is there: %v", c.name, got)
		}
	}
	released(t, s)
}

func TestTxSurvivesDeadlock(t *testing.T) {
	t.Parallel()
	url := clone(t)
	run(t, superuser(t, url), "ALTER DATABASE "+databaseOf(t, url)+" SET deadlock_timeout = '20ms'")
	s := newStore(t, url)
	if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error { return errors.Join(insert(ctx, tx, "a"), insert(ctx, tx, "b")) }); err != nil {
		t.Fatal(err)
	}
	// Each takes one row and, when the other has taken the other one, that.
	took := map[string]chan struct{}{"a": make(chan struct{}), "b": make(chan struct{})}
	failed := make(chan error, 2)
	attempts := make(chan string, 10)
	for mine, others := range map[string]string{"a": "b", "b": "a"} {
		go func() {
			first := true
			failed <- s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
				attempts <- mine
				if _, err := tx.Exec(ctx, "UPDATE thing SET number = number + 1 WHERE name = $1", mine); err != nil {
					return err
				}
				if first {
					first = false
					close(took[mine])
					<-took[others]
				}
				_, err := tx.Exec(ctx, "UPDATE thing SET number = number + 1 WHERE name = $1", others)
				return err
			})
		}()
	}
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if len(attempts) < 3 {
		t.Errorf("%d attempts: there was no deadlock", len(attempts))
	}
	var numbers int
	if err := s.Pool().QueryRow(bounded(t), "SELECT sum(number) FROM thing").Scan(&numbers); err != nil || numbers != 4 {
		t.Errorf("the rows were changed %d times (%v), want 4", numbers, err)
	}
}

func TestTxRollsBackWhenFunctionPanics(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
			if err := insert(ctx, tx, "a"); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	if got := names(t, s); len(got) > 0 {
		t.Errorf("%q were kept", got)
	}
	released(t, s)
}

// The caller has gone: nothing is kept, and the connection can be used by others.
func TestTxRollsBackWhenContextEnds(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	for _, statement := range []string{"SELECT 1", "SELECT pg_sleep(60)"} {
		ctx, cancel := context.WithCancel(bounded(t))
		err := s.Tx(ctx, func(ctx context.Context, tx tx) error {
			if err := insert(ctx, tx, "a"); err != nil {
				return err
			}
			cancel()
			_, err := tx.Exec(ctx, statement)
			return err
		})
		if !errors.Is(err, context.Canceled) || connect.CodeOf(err) == connect.CodeUnavailable {
			t.Errorf("%v, want that the context ended", err)
		}
		if got := names(t, s); len(got) > 0 {
			t.Errorf("%q were kept", got)
		}
		released(t, s)
	}
}

// A failure that the function keeps to itself cannot be committed, and must not look as if it were.
func TestTxFailsWhenFunctionHidesFailure(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
		if err := insert(ctx, tx, "a"); err != nil {
			return err
		}
		_ = insert(ctx, tx, "a")
		return nil
	})
	if err == nil {
		t.Error("a transaction that was rolled back looks committed")
	}
	released(t, s)
}

// parity is a service of another module.
type parity struct {
	parityv1connect.UnimplementedParityServiceHandler
	calls int
}

func (p *parity) Call(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	p.calls++
	return &parityv1.CallResponse{}, nil
}

// A call inside a transaction would hold its locks for as long as the other module takes.
func TestTxRefusesCallsOverTheSeam(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	server, err := rpc.NewServer(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var callee parity
	if err := server.Handle(parityv1cleave.NewParityServiceHandler(&callee)); err != nil {
		t.Fatal(err)
	}
	caller := rpc.NewDirectory(server, []string{"parity"}, nil).Caller("alpha", []*rpc.Service{parityv1cleave.ParityService})
	client := parityv1cleave.NewParityServiceClient(caller)
	err = s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
		_, err := client.Call(context.WithoutCancel(ctx), &parityv1.CallRequest{})
		return err
	})
	if connect.CodeOf(err) != connect.CodeInternal || !strings.Contains(err.Error(), "it is inside a database transaction") || callee.calls != 0 {
		t.Errorf("%v after %d calls, want a refusal", err, callee.calls)
	}
	if _, err := client.Call(bounded(t), &parityv1.CallRequest{}); err != nil || callee.calls != 1 {
		t.Errorf("outside: %v after %d calls", err, callee.calls)
	}
	released(t, s)
}

// databaseOf returns the name of the database of a URL.
func databaseOf(t *testing.T, url string) string {
	t.Helper()
	config, err := pgconn.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return config.Database
}
