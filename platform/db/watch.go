package db

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// watchConns is one connection for probes and one for figures, so that neither waits for the other.
	watchConns = 2
	// WatchTimeout is how long whoever looks on a connection of [DB.Watch] should wait. PostgreSQL ends a statement before that, so a
	// database that is slow, or has locked its tables, says so and is not taken for one that is away.
	WatchTimeout   = 2 * time.Second
	watchStatement = 1500 * time.Millisecond
)

// newWatch returns the connections of [DB.Watch], of which none is open yet.
//
// Their statements are bounded, and ask for few rows of one index in its order.
func newWatch(pool *pgxpool.Pool) (*pgxpool.Pool, error) {
	config := pool.Config()
	config.MaxConns, config.MinConns, config.MinIdleConns = watchConns, 0, 0
	config.MaxConnIdleTime = time.Minute
	config.ConnConfig.ConnectTimeout = WatchTimeout
	config.ConnConfig.Tracer = nil // Nobody follows a trace to here.
	config.ConnConfig.RuntimeParams["application_name"] += " watch"
	config.ConnConfig.RuntimeParams["statement_timeout"] = strconv.FormatInt(watchStatement.Milliseconds(), 10)
	config.ConnConfig.RuntimeParams["enable_bitmapscan"] = "off"
	return pgxpool.NewWithConfig(context.Background(), config)
}

// Watch returns a few connections apart from the pool, for whoever looks at the database from outside: they answer also while the module
// has used up its own. They are opened when somebody looks, and closed when nobody has for a minute.
func (d *DB) Watch() *pgxpool.Pool { return d.watch }
