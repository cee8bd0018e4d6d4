package postgrestest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// shared is the cluster of this test binary. It is a variable of the package because the tests of a package have nothing
// else in common.
var shared cluster

// cluster is started at first use.
type cluster struct {
	mutex  sync.Mutex
	opened bool // Main runs, and will remove what is started
	node   *node
	admin  *pgxpool.Pool // connected to the database "postgres"
	err    error         // why it could not be started

	databases atomic.Int64 // counts the names
	templates sync.Map     // of string to *template
}

func (c *cluster) open() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.opened = true
}

// use returns the cluster's node, and starts it when it is the first to ask. When that failed once it fails at once.
func (c *cluster) use(t testing.TB) *node {
	t.Helper()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if !c.opened {
		t.Fatal("the tests of this package need: func TestMain(m *testing.M) { postgrestest.Main(m) }")
	}
	if c.node == nil && c.err == nil {
		c.err = c.start()
	}
	if c.err != nil {
		t.Fatalf("start a PostgreSQL cluster for the tests: %v", c.err)
	}
	return c.node
}

func (c *cluster) start() error {
	ctx, cancel := limited()
	defer cancel()
	n, err := startNode(ctx)
	if err != nil {
		return err
	}
	admin, err := pgxpool.New(ctx, n.server.URLFor("postgres"))
	if err != nil {
		return errors.Join(err, n.remove(ctx))
	}
	c.node, c.admin = n, admin
	return nil
}

func (c *cluster) close() error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.opened = false
	if c.node == nil {
		return nil
	}
	c.admin.Close()
	ctx, cancel := limited()
	defer cancel()
	return c.node.remove(ctx)
}
