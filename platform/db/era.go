package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// The order of the event log is that of transaction ids (platform/event). A server counts its own: when data are moved to another by
// dump and restore, the log and the cursors of its subscribers hold ids from what is the future there, and new events would be sorted
// behind cursors that have passed them. So the log begins a new era, which comes after all of the old. It does so when a process opens
// the database: whoever moves data starts the processes anew.

// isMoved reports whether the event log or a cursor of the schema is ahead of the server's transaction ids in the current era. Neither
// happens otherwise: what can be seen was written by an id that has been given out, and a cursor stands at most at the next one.
func isMoved(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var moved bool
	err := pool.QueryRow(ctx, `SELECT
		EXISTS (SELECT FROM cleave_event WHERE era = cleave_era() AND transaction >= pg_snapshot_xmax(pg_current_snapshot())) OR
		EXISTS (SELECT FROM cleave_subscriber WHERE era = cleave_era() AND transaction > pg_snapshot_xmax(pg_current_snapshot()))`).Scan(&moved)
	if err != nil {
		return false, fmt.Errorf("look whether the event log was moved: %w", err)
	}
	return moved, nil
}

// beginEra begins the next era of the event log if the data were moved. The pool is the owner's, and the caller holds the module's
// migration lock.
func (c Config) beginEra(ctx context.Context, pool *pgxpool.Pool) error {
	moved, err := isMoved(ctx, pool)
	if err != nil || !moved {
		return err
	}
	var era int32
	if err := pool.QueryRow(ctx, "SELECT cleave_era() + 1").Scan(&era); err != nil {
		return fmt.Errorf("read the era of the event log: %w", err)
	}
	if _, err := pool.Exec(ctx, fmt.Sprintf("CREATE OR REPLACE FUNCTION cleave_era() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT %d'", era)); err != nil {
		return fmt.Errorf("begin era %d of the event log: %w", era, err)
	}
	c.Log.InfoContext(ctx, "the data come from another server: the event log begins a new era", "module", c.Module, "era", era)
	return nil
}
