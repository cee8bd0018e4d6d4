package postgrestest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestDatabaseIsEmptyAndDroppedAtTheEnd(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("with a table and an open connection", func(t *testing.T) {
		url := Database(t)
		name = query[string](t, url, "SELECT current_database()")
		execute(t, url, "CREATE TABLE thing ()")
		open, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		// After the drop, which ends it on the other side.
		parent := context.Background()
		defer t.Cleanup(func() { open.Close(parent) })
		if other := Database(t); query[int64](t, other, "SELECT count(*) FROM pg_class WHERE relname = 'thing'") != 0 {
			t.Error("a database has the table of another test")
		}
	})
	if query[bool](t, URL(t), "SELECT EXISTS (SELECT FROM pg_database WHERE datname = '"+name+"')") {
		t.Errorf("the database %s outlives its test", name)
	}
}

func TestCloneIsFilledOnceAndACopyEach(t *testing.T) {
	t.Parallel()
	key := rand.Text() // of this run of the test: with -count there are several in one process
	var filled atomic.Int64
	prepare := func(ctx context.Context, url string) error {
		filled.Add(1)
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		// It stays open, as a forgotten pool would.
		t.Cleanup(func() { conn.Close(context.Background()) })
		_, err = conn.Exec(ctx, "CREATE TABLE thing AS SELECT 1")
		return err
	}
	const copies = 5
	urls := make([]string, copies)
	var all sync.WaitGroup
	for i := range urls {
		all.Go(func() { urls[i] = Clone(t, key, prepare) })
	}
	all.Wait()
	if n := filled.Load(); n != 1 {
		t.Errorf("prepare ran %d times, want once", n)
	}
	execute(t, urls[0], "INSERT INTO thing VALUES (2)")
	for i, url := range urls[1:] {
		if n := query[int64](t, url, "SELECT count(*) FROM thing"); n != 1 {
			t.Errorf("copy %d has %d rows, want the one of the template", i+1, n)
		}
	}
	// Another key is another database.
	other := Clone(t, "nothing", func(context.Context, string) error { return nil })
	if n := query[int64](t, other, "SELECT count(*) FROM pg_class WHERE relname = 'thing'"); n != 0 {
		t.Error("the template of another key was copied")
	}
}

func TestCloneFailsForAllWhenPrepareFails(t *testing.T) {
	t.Parallel()
	key := rand.Text()
	ran := 0
	for i := range 2 {
		message := failure(t, func(tb testing.TB) {
			Clone(tb, key, func(context.Context, string) error {
				ran++
				return errors.New("syntax error in migration 3")
			})
		})
		if want := `prepare the template database "` + key + `": syntax error in migration 3`; message != want {
			t.Errorf("caller %d fails with %q, want %q", i, message, want)
		}
	}
	if ran != 1 {
		t.Errorf("prepare ran %d times, want once", ran)
	}
}

func TestWithoutMain(t *testing.T) {
	t.Parallel()
	var c cluster
	if message := failure(t, func(tb testing.TB) { c.use(tb) }); !strings.Contains(message, "func TestMain") {
		t.Errorf("a package without Main fails with %q, which does not say what to do", message)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	url := URL(t)
	for name, want := range map[string]string{"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "logical"} {
		if got := query[string](t, url, "SHOW "+name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if n := query[int](t, url, "SELECT current_setting('max_connections')::int"); n < 300 {
		t.Errorf("%d connections are too few for parallel tests of a package", n)
	}
}

func BenchmarkClone(b *testing.B) {
	prepare := func(ctx context.Context, url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		for i := range 30 {
			if _, err := conn.Exec(ctx, fmt.Sprintf("CREATE TABLE t%d (id bigserial PRIMARY KEY, x text UNIQUE, y text)", i)); err != nil {
				return err
			}
		}
		return nil
	}
	Clone(b, "benchmark", prepare)
	for b.Loop() {
		Clone(b, "benchmark", prepare)
	}
}
