package db_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cleave-go/cleave/platform/db"
)

const insertThing = "INSERT INTO thing (name) VALUES ($1)"

// counted counts what is sent over a connection: pgx sends once per round trip.
type counted struct {
	net.Conn
	sent *atomic.Int64
}

func (c counted) Write(p []byte) (int, error) {
	c.sent.Add(1)
	return c.Conn.Write(p)
}

// newCountedStore returns a store with one connection, and the number of round trips so far.
func newCountedStore(t *testing.T) (*store, *atomic.Int64) {
	t.Helper()
	d := open(t, config("alpha", clone(t)))
	sent := new(atomic.Int64)
	c := d.Pool().Config()
	c.MaxConns, c.MinConns, c.MinIdleConns = 1, 0, 0
	c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	dial := c.ConnConfig.DialFunc
	c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return counted{conn, sent}, err
	}
	pool, err := pgxpool.NewWithConfig(bounded(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return db.NewStore(d.Over(pool), func(d dialect.Driver) dialect.Driver { return d }), sent
}

// A transaction costs as many round trips as there are results that somebody reads, and one for what is left and the commit.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	s, sent := newCountedStore(t)
	count := func(ctx context.Context, tx tx) error {
		var n int
		return tx.QueryRow(ctx, "SELECT count(*) FROM thing WHERE name <> $1", "b").Scan(&n)
	}
	note := func(tx tx, name string) { tx.Defer("INSERT INTO entry (name) VALUES ($1)", name) }
	for _, c := range []struct {
		name string
		want int64
		fn   func(ctx context.Context, tx tx) error
	}{
		{"no statement", 0, func(context.Context, tx) error { return nil }},
		{"no statement, fails", 0, func(context.Context, tx) error { return errAnything }},
		{"deferred, fails", 0, func(_ context.Context, tx tx) error { note(tx, "a"); return errAnything }},
		{"one read", 2, count},
		{"one deferred", 1, func(_ context.Context, tx tx) error { note(tx, "a"); return nil }},
		{"three deferred", 1, func(_ context.Context, tx tx) error { note(tx, "a"); note(tx, "b"); note(tx, "c"); return nil }},
		{"a read, three deferred, a read, one deferred", 3, func(ctx context.Context, tx tx) error {
			err := count(ctx, tx)
			note(tx, "a")
			note(tx, "b")
			note(tx, "c")
			err = errors.Join(err, count(ctx, tx))
			note(tx, "d")
			return err
		}},
		{"ent", 2, func(ctx context.Context, tx tx) error {
			return tx.Ent.Exec(ctx, "UPDATE thing SET number = 1 WHERE name = $1", []any{"a"}, nil)
		}},
	} {
		var trips int64
		for range 2 { // The first time statements are prepared.
			before := sent.Load()
			_ = s.Tx(bounded(t), c.fn)
			trips = sent.Load() - before
		}
		if trips != c.want {
			t.Errorf("%s: %d round trips, want %d", c.name, trips, c.want)
		}
	}
	var trips int64
	for range 2 {
		before := sent.Load()
		if err := s.TxMayBeLost(bounded(t), func(ctx context.Context, tx pgx.Tx) error { return count(ctx, s.In(tx)) }); err != nil {
			t.Error(err)
		}
		trips = sent.Load() - before
	}
	if trips != 2 {
		t.Errorf("one read, and a commit that may be lost: %d round trips, want 2", trips)
	}
	released(t, s)
}

// Whatever comes next, it finds what was deferred before it.
// Nobody reads the result of a deferred statement, so its failure must not get lost, wherever it shows and even if it is hidden.
// A deferred statement can meet what PostgreSQL gives up for the sake of another, as any other.
// A transaction that hoped that nobody was faster runs again, without hope, when somebody was.
// What a deferred statement yields is read with whatever it was sent along with.
// A function that cannot read its result undoes what has not been committed; what has stays, and is treated so.
// The caller has gone while BEGIN, a deferred statement or COMMIT was under way.
func TestPipelineEndsWithContext(t *testing.T) {
	t.Parallel()
	url := clone(t)
	s := newStore(t, url)
	const sleep = "SELECT pg_sleep($1)"
	for name, fn := range map[string]func(ctx context.Context, tx tx) error{
		"with BEGIN": func(ctx context.Context, tx tx) error { _, err := tx.Exec(ctx, sleep, 60); return err },
		"as rows with BEGIN": func(ctx context.Context, tx tx) error {
			rows, _ := tx.Query(ctx, sleep, 60)
			for rows.Next() {
			}
			return rows.Err()
		},
		"as a row with BEGIN": func(ctx context.Context, tx tx) error {
			return tx.QueryRow(ctx, "SELECT 1 FROM pg_sleep($1)", 60).Scan(new(int))
		},
		"with a later one": func(ctx context.Context, tx tx) error {
			tx.Defer(insertThing, "a")
			tx.Defer(sleep, 60)
			return insert(ctx, tx, "b")
		},
		"with COMMIT": func(_ context.Context, tx tx) error {
			tx.Defer(insertThing, "a")
			tx.Defer(sleep, 60)
			return nil
		},
	} {
		ctx, cancel := context.WithCancel(bounded(t))
		done := make(chan error, 1)
		go func() { done <- s.Tx(ctx, fn) }()
		waitFor(t, url, "SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = 'cleave_alpha' AND datname = current_database() AND wait_event = 'PgSleep'")
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || connect.CodeOf(err) == connect.CodeUnavailable {
			t.Errorf("%s: %v, want that the context ended", name, err)
		}
		waitFor(t, url, "SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = 'cleave_alpha' AND datname = current_database() AND wait_event = 'PgSleep'")
		if got := names(t, s); len(got) > 0 {
			t.Errorf("%s: %q were kept", name, got)
		}
		released(t, s)
	}
}

// However a first statement ends, the next transaction finds a clean connection.
func TestFirstStatementThatEndsEarlyLeavesCleanConnection(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	for name, fn := range map[string]func(ctx context.Context, tx tx) error{
		"no row": func(ctx context.Context, tx tx) error {
			var name string
			if err := tx.QueryRow(ctx, "SELECT name FROM thing WHERE name = $1", "x").Scan(&name); !errors.Is(err, pgx.ErrNoRows) {
				t.Errorf("%v, want no rows", err)
			}
			return insert(ctx, tx, "kept")
		},
		"more rows than are read": func(ctx context.Context, tx tx) error {
			var n int
			return tx.QueryRow(ctx, "SELECT n FROM generate_series($1::int, 1000) n", 1).Scan(&n)
		},
		"a row of another type": func(ctx context.Context, tx tx) error {
			var n int
			if tx.QueryRow(ctx, "SELECT $1::text", "text").Scan(&n) == nil {
				t.Error("it was scanned")
			}
			return nil
		},
		"an argument of another type": func(ctx context.Context, tx tx) error {
			if _, err := tx.Exec(ctx, "SELECT $1::int", "text"); err == nil {
				t.Error("it was sent")
			}
			return errAnything
		},
		"an error after rows": func(ctx context.Context, tx tx) error {
			list, err := tx.Query(ctx, "SELECT 1 / (3 - n) FROM generate_series($1::int, 5) n", 1)
			if err != nil {
				return err
			}
			if got, err := pgx.CollectRows(list, pgx.RowTo[int]); code(err) != "22012" {
				t.Errorf("%v, %v, want a division by zero", got, err)
			}
			return errAnything
		},
	} {
		if err := s.Tx(bounded(t), fn); err != nil && !errors.Is(err, errAnything) {
			t.Errorf("%s: %v", name, err)
		}
		released(t, s)
	}
	if got := names(t, s); !slices.Equal(got, []string{"kept"}) {
		t.Errorf("%q are left", got)
	}
}

// A connection whose rows nobody has closed cannot be used again; it must not be missing in the pool either.
func TestRowsThatNobodyClosesCostNoPlaceInPool(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	for range 3 * s.Pool().Config().MaxConns {
		if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
			if _, err := tx.Query(ctx, "SELECT n FROM generate_series($1::int, 1000) n", 1); err != nil {
				t.Error(err)
			}
			return errAnything
		}); !errors.Is(err, errAnything) {
			t.Fatal(err)
		}
	}
}

// A transaction that is over takes nothing more, although its connection may serve another one already.
func TestTransactionIsOverWhenItIsOver(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	for _, end := range []error{nil, errAnything} {
		var kept tx
		if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
			kept = tx
			_, err := tx.Exec(ctx, "SELECT 1")
			return errors.Join(err, end)
		}); !errors.Is(err, end) {
			t.Fatal(err)
		}
		for _, err := range []error{insert(bounded(t), kept, "a"), kept.Commit(bounded(t)), kept.Rollback(bounded(t))} {
			if !errors.Is(err, pgx.ErrTxClosed) {
				t.Errorf("%v, want that the transaction is closed", err)
			}
		}
	}
}

// Only the commit of that transaction does not wait for the disk; the next one on the connection does.
func TestTxMayBeLost(t *testing.T) {
	t.Parallel()
	url := clone(t)
	conn := superuser(t, url)
	run(t, conn, "ALTER DATABASE "+databaseOf(t, url)+" SET synchronous_commit = on")
	// The setting counts where the transaction commits, and that is when a deferred trigger runs.
	run(t, conn, `CREATE FUNCTION alpha.note() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO alpha.entry (name) VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$`)
	run(t, conn, "CREATE CONSTRAINT TRIGGER note AFTER INSERT ON alpha.thing DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION alpha.note()")
	s := newStore(t, url)
	insertAny := func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO thing (name) VALUES (gen_random_uuid())")
		return err
	}
	err := errors.Join(s.TxMayBeLost(bounded(t), insertAny), s.DB.Tx(bounded(t), insertAny))
	rows, _ := s.Pool().Query(bounded(t), "SELECT name FROM entry ORDER BY id")
	settings, readErr := pgx.CollectRows(rows, pgx.RowTo[string])
	if err := errors.Join(err, readErr); err != nil || !slices.Equal(settings, []string{"off", "on"}) {
		t.Errorf("synchronous_commit was %q (%v), want off and then on", settings, err)
	}
	if err := s.TxMayBeLost(bounded(t), func(context.Context, pgx.Tx) error { return errAnything }); !errors.Is(err, errAnything) {
		t.Errorf("%v, want the error of the function", err)
	}
	released(t, s)
}

func TestAfterCommit(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	for _, c := range []struct {
		name string
		fail func(ctx context.Context, tx tx, attempt int) error
		want []string
	}{
		{"committed", func(context.Context, tx, int) error { return nil }, []string{"row is there: true", "second"}},
		{"rolled back", func(context.Context, tx, int) error { return errAnything }, nil},
		{"commits in the third attempt", func(ctx context.Context, tx tx, attempt int) error {
			if attempt < 3 {
				return fail(ctx, tx, "40001")
			}
			return nil
		}, []string{"row is there: true", "second"}},
		{"fails to commit", func(ctx context.Context, tx tx, _ int) error {
			_ = fail(ctx, tx, "23505")
			return nil
		}, nil},
	} {
		var ran []string
		attempt := 0
		err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
			attempt++
			if err := insert(ctx, tx, c.name); err != nil {
				return err
			}
			db.AfterCommit(ctx, func() {
				if slices.Contains(names(t, s), c.name) {
					ran = append(ran, "row is there: true")
				}
				if n := s.Pool().Stat().AcquiredConns(); n != 0 {
					t.Errorf("%s: it holds %d connections", c.name, n)
				}
			})
			db.AfterCommit(ctx, func() { ran = append(ran, "second") })
			return c.fail(ctx, tx, attempt)
		})
		if (err == nil) != (c.want != nil) || !slices.Equal(ran, c.want) {
			t.Errorf("%s: %q ran (%v), want %q", c.name, ran, err, c.want)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("without a transaction nobody would run it, and it says nothing")
			}
		}()
		db.AfterCommit(bounded(t), func() {})
	}()
	released(t, s)
}
