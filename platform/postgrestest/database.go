package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// URL returns the superuser's URL of the cluster's database "postgres", and starts the cluster when it does not run yet.
func URL(t testing.TB) string {
	t.Helper()
	return shared.use(t).server.URLFor("postgres")
}

// Database creates an empty database for this test alone and returns its superuser's URL. It is dropped at the end of the
// test, with the connections that are left.
func Database(t testing.TB) string {
	t.Helper()
	return create(t, "template0")
}

// template is a database that Clone copies.
type template struct {
	once sync.Once
	name string
	err  error
}

// Clone creates a database for this test alone as a copy of one that prepare has filled, and returns its superuser's URL.
// Prepare runs once per test binary and key, while others who want the same key wait; it must have closed its connections
// when it returns. The copy is dropped at the end of the test.
func Clone(t testing.TB, key string, prepare func(ctx context.Context, url string) error) string {
	t.Helper()
	node := shared.use(t)
	kept, _ := shared.templates.LoadOrStore(key, &template{})
	from := kept.(*template)
	from.once.Do(func() {
		// Not the context of this test: others wait for the same template.
		ctx, cancel := limited()
		defer cancel()
		from.name = fmt.Sprintf("template_%d", shared.databases.Add(1))
		if from.err = execute(ctx, "CREATE DATABASE "+from.name+" TEMPLATE template0"); from.err == nil {
			from.err = prepare(ctx, node.server.URLFor(from.name))
		}
	})
	if from.err != nil {
		t.Fatalf("prepare the template database %q: %v", key, from.err)
	}
	return create(t, from.name)
}

// create copies a database.
func create(t testing.TB, from string) string {
	t.Helper()
	node := shared.use(t)
	name := fmt.Sprintf("test_%d", shared.databases.Add(1))
	ctx, cancel := limited()
	defer cancel()
	for {
		err := execute(ctx, "CREATE DATABASE "+name+" TEMPLATE "+from)
		if err == nil {
			break
		}
		// For the server a connection that prepare closed may be there a moment longer; copying waits five seconds for it.
		if !isBusy(err) || ctx.Err() != nil {
			t.Fatalf("create a database for the test: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Cleanup(func() {
		ctx, cancel := limited()
		defer cancel()
		if err := execute(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the database of the test: %v", err)
		}
	})
	return node.server.URLFor(name)
}

func execute(ctx context.Context, statement string) error {
	_, err := shared.admin.Exec(ctx, statement)
	return err
}

// isBusy reports whether a database cannot be copied because somebody is connected to it.
func isBusy(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "55006"
}
