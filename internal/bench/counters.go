package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// counters are what a database has done so far.
type counters struct {
	commits int64 // transactions that were committed, also those that only read
	writing int64 // transactions that wrote or locked a row, of the whole server
	wal     int64 // bytes of the write-ahead log, of the whole server
	syncs   int64 // flushes of that log to the disk, of the whole server; those that commit together share one
}

func readCounters(ctx context.Context, pool *pgxpool.Pool) (c counters, err error) {
	err = pool.QueryRow(ctx, `SELECT d.xact_commit, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
			pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, w.wal_sync
		FROM pg_stat_database d, pg_stat_wal w WHERE d.datname = current_database()`).Scan(&c.commits, &c.writing, &c.wal, &c.syncs)
	if err != nil {
		return c, fmt.Errorf("read the counters of the database: %w", err)
	}
	return c, nil
}

// waitForJobs returns when no module owes itself a job for the next minute, so that the jobs of one measurement do not disturb the
// next.
func waitForJobs(ctx context.Context, pool *pgxpool.Pool) error {
	rows, err := pool.Query(ctx, "SELECT schemaname FROM pg_tables WHERE tablename = 'river_job'")
	if err != nil {
		return err
	}
	schemas, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	var due []string
	for _, schema := range schemas {
		due = append(due, "EXISTS (SELECT FROM "+pgx.Identifier{schema, "river_job"}.Sanitize()+
			" WHERE state NOT IN ('completed', 'cancelled', 'discarded') AND scheduled_at < now() + interval '1 minute')")
	}
	if len(due) == 0 {
		return errors.New("no module has a table of jobs")
	}
	due = append(due, "EXISTS (SELECT FROM notifications.message WHERE state IN ('queued', 'sending'))") // These are sent without a job.
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var waiting bool
		if err := pool.QueryRow(ctx, "SELECT "+strings.Join(due, " OR ")).Scan(&waiting); err != nil {
			return fmt.Errorf("wait for the jobs of the orders: %w", err)
		}
		if !waiting {
			return nil
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return fmt.Errorf("wait for the jobs of the orders: %w", err)
		}
	}
}

// since returns what was done after an earlier reading.
func (c counters) since(earlier counters) counters {
	return counters{c.commits - earlier.commits, c.writing - earlier.writing, c.wal - earlier.wal, c.syncs - earlier.syncs}
}
