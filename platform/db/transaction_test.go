package db_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cleave-go/cleave/platform/db"
)

// line counts how often the client waits for an answer.
type line struct {
	net.Conn
	asked *atomic.Bool
	trips *atomic.Int64
}

func (l line) Write(b []byte) (int, error) {
	l.asked.Store(true)
	return l.Conn.Write(b)
}

func (l line) Read(b []byte) (int, error) {
	if l.asked.Swap(false) {
		l.trips.Add(1)
	}
	return l.Conn.Read(b)
}

// watched returns a store over a single connection, and the round trips that it has made.
func watched(t *testing.T) (*store, *atomic.Int64) {
	t.Helper()
	d := open(t, config("alpha", clone(t)))
	config, trips := d.Pool().Config(), new(atomic.Int64)
	config.MaxConns, config.MinIdleConns = 1, 0
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return line{conn, new(atomic.Bool), trips}, err
	}
	pool, err := pgxpool.NewWithConfig(bounded(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return db.NewStore(d.Over(pool), func(d dialect.Driver) dialect.Driver { return d }), trips
}

// later defers the insertion of a thing.
func later(ctx context.Context, tx tx, name string) error {
	return db.Defer(ctx, tx, "INSERT INTO thing (name) VALUES ($1)", name)
}

// count returns how many things the transaction sees.
func count(ctx context.Context, tx tx) (n int, err error) {
	err = tx.QueryRow(ctx, "SELECT count(*) FROM thing WHERE number = $1", 0).Scan(&n)
	return n, err
}

func TestStatementsShareRoundTrips(t *testing.T) {
	t.Parallel()
	s, trips := watched(t)
	for _, c := range []struct {
		name string
		want int64
		fn   func(ctx context.Context, tx tx, run string) error
	}{
		{"nothing", 0, func(context.Context, tx, string) error { return nil }},
		{"a failure before the first statement", 0, func(context.Context, tx, string) error { return errAnything }},
		{"one statement", 2, func(ctx context.Context, tx tx, run string) error { return insert(ctx, tx, run) }},
		{"one by ent", 2, func(ctx context.Context, tx tx, run string) error { return insertByEnt(ctx, tx.Ent, run) }},
		{"three statements", 4, func(ctx context.Context, tx tx, run string) error {
			return errors.Join(insert(ctx, tx, run), insert(ctx, tx, run+"2"), insertByEnt(ctx, tx.Ent, run+"3"))
		}},
		{"only deferred", 1, func(ctx context.Context, tx tx, run string) error {
			return errors.Join(later(ctx, tx, run), later(ctx, tx, run+"2"), later(ctx, tx, run+"3"))
		}},
		{"one, and three deferred", 2, func(ctx context.Context, tx tx, run string) error {
			return errors.Join(insert(ctx, tx, run), later(ctx, tx, run+"2"), later(ctx, tx, run+"3"), later(ctx, tx, run+"4"))
		}},
		{"deferred before and after", 2, func(ctx context.Context, tx tx, run string) error {
			return errors.Join(later(ctx, tx, run), insertByEnt(ctx, tx.Ent, run+"2"), later(ctx, tx, run+"3"))
		}},
		{"a batch", 2, func(ctx context.Context, tx tx, run string) error {
			var b pgx.Batch
			b.Queue("INSERT INTO thing (name) VALUES ($1)", run)
			b.Queue("INSERT INTO thing (name) VALUES ($1)", run+"2")
			return errors.Join(later(ctx, tx, run+"3"), tx.SendBatch(ctx, &b).Close())
		}},
	} {
		var took int64
		for _, run := range []string{"first", "second", "third"} { // The first also prepares the statements.
			before := trips.Load()
			if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error { return c.fn(ctx, tx, c.name+run) }); err != nil && !errors.Is(err, errAnything) {
				t.Fatalf("%s: %v", c.name, err)
			}
			took = trips.Load() - before
		}
		if took != c.want {
			t.Errorf("%s: %d round trips, want %d", c.name, took, c.want)
		}
	}
	released(t, s)
}

// Whatever kind of statement comes next, it sees what was deferred before.
func TestDeferredStatementsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	for name, read := range map[string]func(ctx context.Context, tx tx) (int, error){
		"row": count,
		"rows": func(ctx context.Context, tx tx) (int, error) {
			list, err := tx.Query(ctx, "SELECT name FROM thing")
			if err != nil {
				return 0, err
			}
			names, err := pgx.CollectRows(list, pgx.RowTo[string])
			return len(names), err
		},
		"rows in a format": func(ctx context.Context, tx tx) (n int, err error) {
			err = tx.QueryRow(ctx, "SELECT count(*) FROM thing", pgx.QueryExecModeSimpleProtocol).Scan(&n)
			return n, err
		},
		"exec": func(ctx context.Context, tx tx) (int, error) {
			tag, err := tx.Exec(ctx, "UPDATE thing SET number = $1", 1)
			return int(tag.RowsAffected()), err
		},
		"several statements as one": func(ctx context.Context, tx tx) (int, error) {
			tag, err := tx.Exec(ctx, "SELECT 1; UPDATE thing SET number = 1")
			return int(tag.RowsAffected()), err
		},
		"batch": func(ctx context.Context, tx tx) (n int, err error) {
			var b pgx.Batch
			b.Queue("SELECT count(*) FROM thing").QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
			err = tx.SendBatch(ctx, &b).Close()
			return n, err
		},
		"savepoint": func(ctx context.Context, tx tx) (n int, err error) {
			inner, err := tx.Begin(ctx)
			if err != nil {
				return 0, err
			}
			_, err = inner.Exec(ctx, "DELETE FROM thing")
			if err := errors.Join(err, inner.Rollback(ctx)); err != nil {
				return 0, err
			}
			return count(ctx, tx)
		},
		"copy": func(ctx context.Context, tx tx) (int, error) {
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{"entry"}, []string{"name"}, pgx.CopyFromRows([][]any{{"a"}})); err != nil {
				return 0, err
			}
			return count(ctx, tx)
		},
		"prepared": func(ctx context.Context, tx tx) (n int, err error) {
			if _, err := tx.Prepare(ctx, "", "SELECT 1"); err != nil {
				return 0, err
			}
			return count(ctx, tx)
		},
	} {
		for _, begun := range []bool{false, true} {
			err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
				if begun {
					if _, err := tx.Exec(ctx, "SELECT 1"); err != nil {
						return err
					}
				}
				if err := errors.Join(later(ctx, tx, "a"), later(ctx, tx, "b")); err != nil {
					return err
				}
				if n, err := read(ctx, tx); err != nil || n != 2 {
					return fmt.Errorf("it sees %d (%w)", n, err)
				}
				return errAnything
			})
			if !errors.Is(err, errAnything) || len(names(t, s)) > 0 {
				t.Errorf("%s, begun %v: %v, and %q are left", name, begun, err, names(t, s))
			}
		}
	}
	released(t, s)
}

// Nothing of a transaction is kept whose deferred statement failed, wherever it was sent and whoever hides the error.
func TestFailedDeferredStatementFailsTransaction(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	missing := func(ctx context.Context, tx tx) error { return db.Defer(ctx, tx, "INSERT INTO missing VALUES ($1)", 1) }
	for name, c := range map[string]struct {
		code string
		fn   func(ctx context.Context, tx tx) error
	}{
		"with COMMIT": {"23505", func(ctx context.Context, tx tx) error {
			return errors.Join(insert(ctx, tx, "a"), later(ctx, tx, "a"), later(ctx, tx, "b"))
		}},
		"with BEGIN and COMMIT": {"23505", func(ctx context.Context, tx tx) error {
			return errors.Join(later(ctx, tx, "a"), later(ctx, tx, "a"))
		}},
		"cannot be prepared, with COMMIT": {"42P01", func(ctx context.Context, tx tx) error {
			return errors.Join(insert(ctx, tx, "a"), missing(ctx, tx))
		}},
		"with a statement": {"23505", func(ctx context.Context, tx tx) error {
			return errors.Join(insert(ctx, tx, "a"), later(ctx, tx, "a"), insert(ctx, tx, "b"))
		}},
		"with a statement that hides it": {"23505", func(ctx context.Context, tx tx) error {
			_ = errors.Join(insert(ctx, tx, "a"), later(ctx, tx, "a"), insert(ctx, tx, "b"))
			return nil
		}},
		// PostgreSQL knows of no transaction then: what follows must not be committed one by one.
		"with BEGIN and a statement that hides it": {"42P01", func(ctx context.Context, tx tx) error {
			_ = errors.Join(missing(ctx, tx), insert(ctx, tx, "a"))
			_ = errors.Join(insert(ctx, tx, "b"), later(ctx, tx, "c"))
			_, _ = tx.Exec(ctx, "INSERT INTO thing (name) VALUES ('d')")
			_, _ = tx.CopyFrom(ctx, pgx.Identifier{"thing"}, []string{"name"}, pgx.CopyFromRows([][]any{{"e"}}))
			return nil
		}},
		"the first statement, hidden": {"42P01", func(ctx context.Context, tx tx) error {
			_, _ = tx.Exec(ctx, "INSERT INTO missing VALUES ($1)", 1)
			_ = insert(ctx, tx, "a")
			return nil
		}},
		"a savepoint cannot save it": {"23505", func(ctx context.Context, tx tx) error {
			_ = errors.Join(insert(ctx, tx, "a"), later(ctx, tx, "a"))
			_, _ = tx.Begin(ctx)
			_ = insert(ctx, tx, "b")
			return nil
		}},
	} {
		if err := s.Tx(bounded(t), c.fn); code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
		if got := names(t, s); len(got) > 0 {
			t.Errorf("%s: %q are left", name, got)
		}
	}
	released(t, s)
}

// What PostgreSQL gives up in the last round trip is run again as anything else.
func TestTxRunsAgainWhenDeferredStatementWasGivenUp(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	attempts := 0
	if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
		if attempts++; attempts == 1 {
			return errors.Join(later(ctx, tx, "a"), db.Defer(ctx, tx, "DO $$ BEGIN RAISE EXCEPTION 'as the test wants it' USING ERRCODE = '40001'; END $$"))
		}
		return later(ctx, tx, "b")
	}); err != nil {
		t.Error(err)
	}
	if got := names(t, s); attempts != 2 || !slices.Equal(got, []string{"b"}) {
		t.Errorf("%d attempts left %q", attempts, got)
	}
	released(t, s)
}

// The queue of a transaction does not grow with what it does.
func TestManyDeferredStatementsAreSentBefore(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
		for i := range 250 {
			if err := later(ctx, tx, fmt.Sprint(i)); err != nil {
				return err
			}
		}
		if n, err := count(bounded(t), tx); err != nil || n != 250 {
			return fmt.Errorf("it sees %d (%w)", n, err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	released(t, s)
}

// Code that was given a transaction need not know who opened it.
func TestDeferInForeignTransactionIsExecutedAtOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	if err := pgx.BeginFunc(bounded(t), s.Pool(), func(foreign pgx.Tx) error {
		ctx := bounded(t)
		if err := later(ctx, s.In(foreign), "a"); err != nil {
			return err
		}
		if err := later(ctx, s.In(foreign), "a"); code(err) != "23505" {
			t.Errorf("%v, want the error of the statement", err)
		}
		return errAnything
	}); !errors.Is(err, errAnything) {
		t.Error(err)
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
		for _, err := range []error{insert(bounded(t), kept, "a"), later(bounded(t), kept, "a"), kept.Commit(bounded(t)), kept.Rollback(bounded(t))} {
			if !errors.Is(err, pgx.ErrTxClosed) {
				t.Errorf("%v, want that the transaction is closed", err)
			}
		}
	}
}
