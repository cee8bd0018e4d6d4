package db

import "github.com/jackc/pgx/v5/pgxpool"

// Over returns the database with other connections.
func (d *DB) Over(pool *pgxpool.Pool) *DB { return &DB{pool: pool, module: d.module} }
