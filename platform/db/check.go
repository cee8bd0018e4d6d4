package db

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// needs are the versions of the tables that this program needs, by how an operator calls them, and the statement that asks for them.
type needs struct {
	lines   []line
	inquiry string
}

type line struct {
	what    string
	version int64
}

// needs returns what the code needs.
func (c Config) needs(pool *pgxpool.Pool) (needs, error) {
	n := needs{inquiry: "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', ARRAY["}
	add := func(what, query string, versions []int64) {
		if len(versions) == 0 {
			return // There is no table that counts none.
		}
		if len(n.lines) > 0 {
			n.inquiry += ", "
		}
		n.inquiry += "(" + query + ")"
		n.lines = append(n.lines, line{what, slices.Max(versions)})
	}
	folders, err := c.lines()
	if err != nil {
		return needs{}, err
	}
	for _, table := range []string{platformVersions, moduleVersions} {
		named, err := numbered(folders[table])
		if err != nil {
			return needs{}, err
		}
		what := "tables"
		if table == platformVersions {
			what = "platform tables"
		}
		add(what, "SELECT coalesce(max(version_id), 0) FROM "+table+" WHERE is_applied", slices.Collect(maps.Keys(named)))
	}
	river, err := c.river(pool)
	if err != nil {
		return needs{}, err
	}
	var versions []int64
	for _, v := range river.AllVersions() {
		versions = append(versions, int64(v.Version))
	}
	add("job tables", "SELECT coalesce(max(version), 0)::bigint FROM river_migration", versions)
	n.inquiry += "]::bigint[]"
	return n, nil
}

// Check says why the module could not work with its database now: nobody answers, it only reads, its tables are older than this program, or
// it had no room when somebody wrote last, and has none now. It is one statement on a connection of [DB.Watch], so it is good also while
// the module has used up its own.
//
// It does not write. So it cannot know that there is no room before a transaction of the module has met that; nor, on a connection that is
// open already, of a role or a database that was set to read-only for those to come.
func (d *DB) Check(ctx context.Context) error {
	var standby, readOnly bool
	var versions []int64
	err := d.watch.QueryRow(ctx, d.needs.inquiry).Scan(&standby, &readOnly, &versions)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && (refused.Code == "42P01" || refused.Code == "3F000" || refused.Code == "42501"):
		return fmt.Errorf("the schema %s is not what it was: %s", d.module, refused.Message)
	case err != nil:
		return fmt.Errorf("the database of %s does not answer", d.module)
	case standby:
		return fmt.Errorf("the database of %s is a standby, which only reads", d.module)
	case readOnly:
		return fmt.Errorf("the database of %s is read-only", d.module)
	}
	for i, line := range d.needs.lines {
		if versions[i] < line.version {
			return fmt.Errorf("the %s of schema %s are at version %d, this program needs %d", line.what, d.module, versions[i], line.version)
		}
	}
	if d.full.Load() {
		return d.checkRoom(ctx)
	}
	return nil
}

// note remembers that there was no room.
func (d *DB) note(err error) {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == diskFull {
		d.full.Store(true)
	}
}

// diskFull is what PostgreSQL says when the file system has no room.
const diskFull = "53100"

// checkRoom looks whether there is room again: it has PostgreSQL sort more than fits its memory, which takes some megabytes on the disk for
// a moment and leaves nothing.
func (d *DB) checkRoom(ctx context.Context) error {
	var batch pgx.Batch
	batch.Queue("SELECT set_config('work_mem', '64kB', true)")
	batch.Queue("SELECT count(*) FROM (SELECT repeat('x', 1000) || n FROM generate_series(1, 8000) n ORDER BY 1 OFFSET 0) AS sorted")
	if err := d.watch.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("the database of %s has no room on its disk", d.module)
	}
	d.full.Store(false)
	return nil
}
