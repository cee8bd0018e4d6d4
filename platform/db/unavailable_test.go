package db_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/postgres"
	"github.com/cleave-go/cleave/platform/postgrestest"
)

// touch writes something.
func touch(ctx context.Context, s *store) error {
	return s.Tx(ctx, func(ctx context.Context, tx tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO thing (name) VALUES (gen_random_uuid())")
		return err
	})
}

// look reads something outside of a transaction.
func look(ctx context.Context, s *store) error {
	_, err := s.Pool().Exec(ctx, "SELECT count(*) FROM thing")
	return db.Unavailable(err)
}

func TestStoppedServerIsUnavailableAndComesBack(t *testing.T) {
	t.Parallel()
	server := postgrestest.Server(t)
	s := newStore(t, server.URL())
	var data string
	if err := superuser(t, server.URL()).QueryRow(bounded(t), "SHOW data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	if err := touch(bounded(t), s); err != nil {
		t.Fatal(err)
	}

	// It goes down in the middle of a transaction.
	err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
		return insert(ctx, tx, "a")
	})
	if connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("in a transaction: %v, want unavailable", err)
	}
	for range 10 { // More often than there are connections in the pool that do not know it yet.
		if err := touch(bounded(t), s); connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("a transaction: %v, want unavailable", err)
		}
		if err := look(bounded(t), s); connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("a read: %v, want unavailable", err)
		}
	}
	if s.Check(bounded(t)) == nil {
		t.Error("it answers a ping")
	}

	again, err := postgres.Start(bounded(t), postgres.Options{Dir: filepath.Dir(data)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := again.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if again.URL() != server.URL() {
		t.Fatal("the server came back elsewhere")
	}
	for range 10 {
		if err := errors.Join(touch(bounded(t), s), look(bounded(t), s), s.Check(bounded(t))); err != nil {
			t.Errorf("after it came back: %v", err)
		}
	}
}

// Somebody ends the connection of an idle pool: the next use may meet it, the one after that must not.
func TestLostConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	url := clone(t)
	s := newStore(t, url)
	if err := touch(bounded(t), s); err != nil {
		t.Fatal(err)
	}
	err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
		run(t, superuser(t, url), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cleave_alpha' AND datname = current_database()")
		return insert(ctx, tx, "a")
	})
	if connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("a connection that was ended: %v, want unavailable", err)
	}
	waitFor(t, url, "SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'cleave_alpha' AND datname = current_database() AND state = 'idle in transaction'")
	for range 10 {
		if err := touch(bounded(t), s); err != nil && connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("while the pool finds out: %v, want unavailable", err)
		}
	}
	if err := touch(bounded(t), s); err != nil {
		t.Error(err)
	}
}

func TestTooManyConnectionsIsUnavailable(t *testing.T) {
	t.Parallel()
	url := clone(t)
	conn := superuser(t, url)
	s := newStore(t, url)
	run(t, conn, "ALTER DATABASE "+databaseOf(t, url)+" CONNECTION LIMIT 0")
	s.Pool().Reset() // So that it needs a new one.
	if err := touch(bounded(t), s); connect.CodeOf(err) != connect.CodeUnavailable || code(err) != "53300" {
		t.Errorf("a transaction: %v, want unavailable because of too many connections", err)
	}
	if err := look(bounded(t), s); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("a read: %v, want unavailable", err)
	}
	run(t, conn, "ALTER DATABASE "+databaseOf(t, url)+" CONNECTION LIMIT -1")
	if err := errors.Join(touch(bounded(t), s), look(bounded(t), s)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// What callers are told is a code and a sentence; the rest is for the log.
func TestUnavailableTellsCallersLittle(t *testing.T) {
	t.Parallel()
	err := db.Unavailable(fmt.Errorf("load order: %w", &pgconn.PgError{Code: "57P01", Message: "terminating connection due to administrator command"}))
	var told *connect.Error
	if !errors.As(err, &told) || told.Message() != "the database is unavailable" {
		t.Errorf("callers are told %q", told.Message())
	}
	if code(err) != "57P01" {
		t.Errorf("the log is told %q, which hides the cause", err)
	}
}

func TestUnavailableTellsOneFailureFromAnother(t *testing.T) {
	t.Parallel()
	state := func(code string) error { return fmt.Errorf("do: %w", &pgconn.PgError{Code: code}) }
	for name, c := range map[string]struct {
		err  error
		down bool
	}{
		"shutting down":       {state("57P01"), true},
		"crashed":             {state("57P02"), true},
		"starting up":         {state("57P03"), true},
		"too many":            {state("53300"), true},
		"disk full":           {state("53100"), true},
		"connection failure":  {state("08006"), true},
		"a standby":           {state("25006"), true},
		"end of file":         {fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), true},
		"cancelled statement": {state("57014"), false},
		"unique violation":    {state("23505"), false},
		"deadlock":            {state("40P01"), false},
		"no such table":       {state("42P01"), false},
		"wrong password":      {state("28P01"), false},
		"anything":            {errAnything, false},
		"caller gone":         {fmt.Errorf("receive: %w", context.Canceled), false},
		"too late":            {fmt.Errorf("receive: %w", context.DeadlineExceeded), false},
		"a method's answer":   {connect.NewError(connect.CodeNotFound, io.EOF), false},
		"success":             {nil, false},
	} {
		got := db.Unavailable(c.err)
		if down := got != nil && connect.CodeOf(got) == connect.CodeUnavailable; down != c.down {
			t.Errorf("%s: unavailable is %v, want %v", name, down, c.down)
		}
		if !c.down && got != c.err {
			t.Errorf("%s: %v was made of %v", name, got, c.err)
		}
	}
}
