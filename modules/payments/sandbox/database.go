package sandbox

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema.sql
var tables string

// maxConns bounds the connections of a sandbox with a database of its own.
const maxConns = 10

// Open connects to a database that belongs to the sandbox, in a schema sandbox, and makes the tables that are missing.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("the database URL cannot be read; it looks like postgres://user:password@host:5432/database")
	}
	config.MaxConns = maxConns
	config.ConnConfig.RuntimeParams["search_path"] = "sandbox"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	// Two that start at once take turns.
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('sandbox schema', 0))"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, tables)
		return err
	})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("make the tables of the sandbox: %w", err)
	}
	return pool, nil
}
