package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/db"
)

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

// Deferred statements alone are sent without BEGIN and COMMIT, and are a transaction all the same.
func TestDeferredStatementsAloneAreOneTransaction(t *testing.T) {
	t.Parallel()
	s, _ := newCountedStore(t)
	for name, c := range map[string]struct {
		read func(results pgx.BatchResults) error
		last any // The name of the last thing, which must have one.
		want []string
	}{
		"all goes well":                     {func(r pgx.BatchResults) error { _, err := r.Exec(); return err }, "b", []string{"a", "b"}},
		"the last is refused":               {func(r pgx.BatchResults) error { _, err := r.Exec(); return err }, nil, nil},
		"a row cannot be read":              {func(r pgx.BatchResults) error { return r.QueryRow().Scan(new(bool)) }, "b", []string{"a", "b"}},
		"a row cannot be read, and refused": {func(r pgx.BatchResults) error { return r.QueryRow().Scan(new(bool)) }, nil, nil},
		"rows cannot be read, and refused": {func(r pgx.BatchResults) error {
			rows, _ := r.Query()
			_, err := pgx.CollectRows(rows, pgx.RowTo[bool])
			return err
		}, nil, nil},
		"the function fails, and refused": {func(r pgx.BatchResults) error { r.QueryRow(); return errAnything }, nil, nil},
	} {
		told := 0
		err := s.Tx(bounded(t), func(ctx context.Context, tx tx) error {
			db.AfterCommit(ctx, func() { told++ })
			tx.Defer(insertThing, "a")
			tx.Defer("SELECT name FROM thing").Fn = c.read
			tx.Defer(insertThing, c.last)
			return nil
		})
		if got := names(t, s); !slices.Equal(got, c.want) || told != min(len(got), 1) {
			t.Errorf("%s: %q were kept (%v), told %d times, want %q", name, got, err, told, c.want)
		}
		if refused := code(err) == "23502"; refused != (c.want == nil) || (err == nil) != (name == "all goes well") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := s.Pool().Exec(bounded(t), "DELETE FROM thing"); err != nil {
			t.Fatal(err)
		}
	}
	released(t, s)
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
