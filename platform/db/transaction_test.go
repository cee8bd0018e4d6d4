package db_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
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
func TestDeferredStatementsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	const number = "SELECT number FROM thing"
	scan := func(row pgx.Row) (n int, err error) { return n, row.Scan(&n) }
	for name, read := range map[string]func(ctx context.Context, tx tx) (int, error){
		"QueryRow": func(ctx context.Context, tx tx) (int, error) { return scan(tx.QueryRow(ctx, number)) },
		"QueryRow with an option": func(ctx context.Context, tx tx) (int, error) {
			return scan(tx.QueryRow(ctx, number, pgx.QueryExecModeSimpleProtocol))
		},
		"Query": func(ctx context.Context, tx tx) (int, error) {
			rows, _ := tx.Query(ctx, number)
			return pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
		},
		"Query with an option": func(ctx context.Context, tx tx) (int, error) {
			rows, _ := tx.Query(ctx, number, pgx.QueryResultFormats{pgx.TextFormatCode})
			return pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
		},
		"Exec": func(ctx context.Context, tx tx) (int, error) {
			tag, err := tx.Exec(ctx, "SELECT FROM generate_series(1, (SELECT number FROM thing WHERE number > $1))", 0)
			return int(tag.RowsAffected()), err
		},
		"Exec of several": func(ctx context.Context, tx tx) (int, error) {
			tag, err := tx.Exec(ctx, "SELECT 1; SELECT FROM generate_series(1, (SELECT number FROM thing))")
			return int(tag.RowsAffected()), err
		},
		"SendBatch": func(ctx context.Context, tx tx) (n int, err error) {
			var batch pgx.Batch
			batch.Queue("SELECT 1")
			batch.Queue(number).QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
			return n, tx.SendBatch(ctx, &batch).Close()
		},
		"CopyFrom": func(ctx context.Context, tx tx) (int, error) {
			// The name of the copied row is taken if the deferred one came first.
			inner, err := tx.Begin(ctx)
			if err != nil {
				return 0, err
			}
			if _, err := inner.CopyFrom(ctx, pgx.Identifier{"thing"}, []string{"name"}, pgx.CopyFromRows([][]any{{"a"}})); code(err) != "23505" {
				return 0, fmt.Errorf("copy: %w", err)
			}
			return 3, inner.Rollback(ctx)
		},
		"savepoint": func(ctx context.Context, tx tx) (int, error) {
			inner, err := tx.Begin(ctx)
			if err != nil {
				return 0, err
			}
			n, err := scan(inner.QueryRow(ctx, number))
			return n, errors.Join(err, inner.Commit(ctx))
		},
		"savepoint, rolled back": func(ctx context.Context, tx tx) (int, error) {
			inner, err := tx.Begin(ctx)
			if err != nil {
				return 0, err
			}
			if _, err := inner.Exec(ctx, "DELETE FROM thing WHERE number = $1", 3); err != nil {
				return 0, err
			}
			db.Defer(inner, "no such statement")
			if err := inner.Rollback(ctx); err != nil {
				return 0, err
			}
			return scan(tx.QueryRow(ctx, number))
		},
		"ent": func(ctx context.Context, tx tx) (n int, err error) {
			var rows entsql.Rows
			if err := tx.Ent.Query(ctx, number, []any{}, &rows); err != nil {
				return 0, err
			}
			n, err = entsql.ScanInt(&rows)
			return n, errors.Join(err, rows.Close())
		},
	} {
		var got int
		err := s.Tx(bounded(t), func(ctx context.Context, tx tx) (err error) {
			tx.Defer(insertThing, "a")
			db.Defer(tx.Tx, "UPDATE thing SET number = number + $1", 1)
			tx.Defer("UPDATE thing SET number = number * $1", 3)
			if got, err = read(ctx, tx); err != nil {
				return err
			}
			tx.Defer("DELETE FROM thing")
			return nil
		})
		if left := names(t, s); err != nil || got != 3 || len(left) > 0 {
			t.Errorf("%s: %d (%v), want 3, and nothing of %q left", name, got, err, left)
		}
	}
	released(t, s)
}

// Nobody reads the result of a deferred statement, so its failure must not get lost, wherever it shows and even if it is hidden.
func TestDeferredFailureFailsTransaction(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	for name, fn := range map[string]func(ctx context.Context, tx tx){
		"at the commit": func(_ context.Context, tx tx) { tx.Defer(insertThing, "a") },
		"before others at the commit": func(_ context.Context, tx tx) {
			tx.Defer(insertThing, "a")
			tx.Defer(insertThing, "c")
		},
		"with a read whose error is hidden": func(ctx context.Context, tx tx) { tx.Defer(insertThing, "a"); _, _ = tx.Exec(ctx, "SELECT $1::int", 1) },
		"with rows that nobody reads": func(ctx context.Context, tx tx) {
			tx.Defer(insertThing, "a")
			_, _ = tx.Query(ctx, "SELECT $1::int", 1)
		},
		"in a savepoint whose failure is hidden": func(ctx context.Context, tx tx) { tx.Defer(insertThing, "a"); _, _ = tx.Begin(ctx) },
		"an argument that cannot be sent":        func(_ context.Context, tx tx) { tx.Defer(insertThing, make(chan int)) },
		"the statement that brings it cannot be sent": func(ctx context.Context, tx tx) {
			tx.Defer(insertThing, "c")
			_, _ = tx.Exec(ctx, insertThing, make(chan int))
		},
		"the first statement cannot be sent": func(ctx context.Context, tx tx) {
			_, _ = tx.Exec(ctx, insertThing, make(chan int))
			_, _ = tx.Exec(ctx, insertThing, "c")
		},
		"the first statement cannot be prepared": func(ctx context.Context, tx tx) {
			_, _ = tx.Exec(ctx, "no such statement $1", 1)
			_, _ = tx.Exec(ctx, insertThing, "c")
		},
		"too many": func(_ context.Context, tx tx) {
			for i := range 1002 {
				tx.Defer(insertThing, fmt.Sprint(i))
			}
		},
	} {
		if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
			if name != "the first statement cannot be sent" && name != "the first statement cannot be prepared" {
				if err := insert(ctx, tx, "a"); err != nil {
					return err
				}
			}
			fn(ctx, tx)
			return nil
		}); err == nil {
			t.Errorf("%s: it looks committed", name)
		}
		if got := names(t, s); len(got) > 0 {
			t.Fatalf("%s: %q were kept", name, got)
		}
		released(t, s)
	}
}

// A deferred statement can meet what PostgreSQL gives up for the sake of another, as any other.
func TestTxRunsAgainWhatFailedAtCommit(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	attempts := 0
	if err := s.Tx(bounded(t), func(_ context.Context, tx tx) error {
		attempts++
		tx.Defer(insertThing, "a")
		if attempts < 3 {
			tx.Defer("DO $$ BEGIN RAISE EXCEPTION 'as the test wants it' USING ERRCODE = '40001'; END $$")
		}
		return nil
	}); err != nil || attempts != 3 || !slices.Equal(names(t, s), []string{"a"}) {
		t.Errorf("%v after %d attempts with %q", err, attempts, names(t, s))
	}
	released(t, s)
}

// A transaction that hoped that nobody was faster runs again, without hope, when somebody was.
func TestFirstTryThatWasInVainRunsAgain(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(tx tx) error{
		"a constraint, at the commit": func(tx tx) error { tx.Defer(insertThing, nil); return nil },
		"as the function says":        func(tx) error { return fmt.Errorf("%w: somebody was faster", db.ErrAgain) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, clone(t))
			var tries []bool
			told := 0
			if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
				tries = append(tries, db.FirstTry(ctx))
				db.AfterCommit(ctx, func() { told++ })
				tx.Defer(insertThing, "a")
				if tries[len(tries)-1] {
					return end(tx)
				}
				return nil
			}); err != nil || !slices.Equal(tries, []bool{true, false}) || told != 1 || !slices.Equal(names(t, s), []string{"a"}) {
				t.Errorf("%v after tries %v with %q, told %d times", err, tries, names(t, s), told)
			}
			released(t, s)
		})
	}
	s := newStore(t, clone(t))
	tries := 0
	if err := s.Tx(bounded(t), func(_ context.Context, tx tx) error {
		tries++
		tx.Defer(insertThing, nil)
		return nil
	}); err == nil || tries != 1 {
		t.Errorf("%v after %d tries of a transaction that hoped for nothing, want its failure after one", err, tries)
	}
}

// What a deferred statement yields is read with whatever it was sent along with.
func TestDeferredResult(t *testing.T) {
	t.Parallel()
	s, sent := newCountedStore(t)
	for range 2 { // The first time the statements are prepared.
		sent.Store(0)
		got, told := 0, 0
		if err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
			tx.Defer("SELECT 40 + $1::int", 2).QueryRow(func(row pgx.Row) error { return row.Scan(&got) })
			db.AfterCommit(ctx, func() { told = got })
			return nil
		}); err != nil || told != 42 {
			t.Errorf("%v with %d, want 42", err, told)
		}
	}
	if n := sent.Load(); n != 1 {
		t.Errorf("%d round trips, want one", n)
	}
}

// A function that cannot read its result undoes what has not been committed; what has stays, and is treated so.
func TestDeferredResultThatCannotBeRead(t *testing.T) {
	t.Parallel()
	wanted := errors.New("as the test wants it")
	for name, c := range map[string]struct {
		sql  string
		read func(row pgx.Row) error
		want error
	}{
		"no row":                {"SELECT 1 WHERE false", func(row pgx.Row) error { return row.Scan(new(int)) }, pgx.ErrNoRows},
		"another type":          {"SELECT 'a'", func(row pgx.Row) error { return row.Scan(new(int)) }, nil},
		"not read at all":       {"SELECT 1", func(pgx.Row) error { return wanted }, wanted},
		"to be run again":       {"SELECT 1", func(pgx.Row) error { return db.ErrAgain }, db.ErrAgain},
		"refused by the server": {"SELECT 1 / $1::int", func(row pgx.Row) error { return row.Scan(new(int)) }, nil},
	} {
		for _, committed := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " with COMMIT ", committed), func(t *testing.T) {
				t.Parallel()
				s, _ := newCountedStore(t)
				runs, told := 0, 0
				err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
					runs++
					db.FirstTry(ctx)
					db.AfterCommit(ctx, func() { told++ })
					tx.Defer(insertThing, "a")
					if name == "refused by the server" {
						tx.Defer(c.sql, 0).QueryRow(c.read)
					} else if runs == 1 {
						tx.Defer(c.sql).QueryRow(c.read)
					}
					if committed {
						return nil
					}
					_, err := tx.Exec(ctx, "SELECT $1::int", 1)
					return err
				})
				want := 0
				if committed && name != "refused by the server" {
					want = 1
				}
				again := !committed && c.want == db.ErrAgain // Which then goes well.
				if again {
					want = 1
				}
				if (err == nil) != again || !again && c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if n := len(names(t, s)); n != want || told != want || runs != 1 && !again {
					t.Errorf("%d rows, told %d times in %d runs, want %d", n, told, runs, want)
				}
				released(t, s)
			})
		}
	}
}

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

func TestDeferNeedsOurTransaction(t *testing.T) {
	t.Parallel()
	s := newStore(t, clone(t))
	foreign, err := s.Pool().Begin(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Rollback(context.Background())
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "open the transaction with Store.Tx or DB.Tx") {
			t.Errorf("%s, want a sentence", text)
		}
	}()
	db.Defer(foreign, insertThing, "a")
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
