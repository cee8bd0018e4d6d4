package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// URL returns the superuser's URL of the database "postgres" in the package's cluster, which it starts when it does not run
// yet. What a test changes there, other tests see.
func URL(t testing.TB) string {
	t.Helper()
	return shared.use(t).server.URLFor("postgres")
}

// Database creates an empty database for this test alone and returns its superuser's URL. It is dropped at the end of the
// test, with the connections that are left.
func Database(t testing.TB) string {
	t.Helper()
	return shared.copyOf(t, "template0")
}

// template is a database that Clone copies.
type template struct {
	once sync.Once
	name string
	err  error
}

// Clone creates a database for this test alone as a copy of one that prepare has filled, for example with the tables of a
// module, and returns its superuser's URL. prepare runs once per test binary and key, while others who want the same key
// wait; when it fails, all of them fail. Connections that it leaves open are ended, since a database in use cannot be
// copied. The copy is dropped at the end of the test.
func Clone(t testing.TB, key string, prepare func(ctx context.Context, url string) error) string {
	t.Helper()
	n := shared.use(t)
	kept, _ := shared.templates.LoadOrStore(key, &template{})
	from := kept.(*template)
	from.once.Do(func() {
		// Not the context of this test: others wait for the same template.
		ctx, cancel := limited()
		defer cancel()
		from.name = fmt.Sprintf("template_%d", shared.databases.Add(1))
		from.err = errors.New("prepare did not return")
		from.err = shared.fill(ctx, from.name, func() error { return prepare(ctx, n.server.URLFor(from.name)) })
	})
	if from.err != nil {
		t.Fatalf("prepare the template database %q: %v", key, from.err)
	}
	return shared.copyOf(t, from.name)
}

// fill makes a template, and closes it to everybody but CREATE DATABASE.
func (c *cluster) fill(ctx context.Context, name string, prepare func() error) error {
	if _, err := c.admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	// In this order nobody comes back, and the second statement returns when the last one is gone: for the server a
	// connection exists a moment longer than for the client that has closed it.
	if _, err := c.admin.Exec(ctx, "ALTER DATABASE "+name+" ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	_, err := c.admin.Exec(ctx, "SELECT pg_terminate_backend(pid, $2) FROM pg_stat_activity WHERE datname = $1",
		name, patience.Milliseconds())
	return err
}

// copyOf creates a database as a copy of another, and drops it when the test is over.
func (c *cluster) copyOf(t testing.TB, from string) string {
	t.Helper()
	n := c.use(t)
	name := fmt.Sprintf("test_%d", c.databases.Add(1))
	ctx, cancel := limited()
	defer cancel()
	// Copying files takes half of the time of the other strategy when tests run in parallel, and writes no log.
	if _, err := c.admin.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+from+" STRATEGY file_copy"); err != nil {
		t.Fatalf("create a database for the test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := limited()
		defer cancel()
		if _, err := c.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the database of the test: %v", err)
		}
	})
	return n.server.URLFor(name)
}
