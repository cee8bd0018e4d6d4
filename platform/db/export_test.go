package db

import "github.com/jackc/pgx/v5/pgxpool"

// Over returns the same database over other connections, for a test that watches them.
func (d *DB) Over(pool *pgxpool.Pool) *DB { return &DB{pool: pool, module: d.module} }
