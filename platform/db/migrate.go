package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

//go:embed migrations/*.sql
var platformMigrations embed.FS

// The tables that count the migrations of a schema: those of the platform's own tables, and those of the module's.
const (
	platformVersions = "cleave_platform_version"
	moduleVersions   = "cleave_version"
)

// lines are the two lines of SQL migrations of a schema. River has a third.
func (c Config) lines() (map[string]fs.FS, error) {
	platform, err := fs.Sub(platformMigrations, "migrations")
	if err != nil {
		return nil, err
	}
	own, err := fs.Sub(c.Migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return map[string]fs.FS{platformVersions: platform, moduleVersions: own}, nil
}

// migrate brings the tables up to date. The caller holds the module's migration lock.
func (c Config) migrate(ctx context.Context, admin *pgx.ConnConfig) error {
	owner := admin.Copy()
	owner.RuntimeParams["role"] = c.owner()
	owner.RuntimeParams["search_path"] = c.Module
	sqlDB := stdlib.OpenDB(*owner)
	defer sqlDB.Close()
	lines, err := c.lines()
	if err != nil {
		return err
	}
	var applied []string
	for _, table := range []string{platformVersions, moduleVersions} {
		if named, err := numbered(lines[table]); err != nil {
			return err
		} else if len(named) == 0 { // goose takes no empty folder.
			continue
		}
		provider, err := goose.NewProvider(goose.DialectPostgres, sqlDB, lines[table],
			goose.WithTableName(table), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
		if err != nil {
			return fmt.Errorf("read the migrations of %s: %w", c.Module, err)
		}
		results, err := provider.Up(ctx)
		if err != nil {
			return fmt.Errorf("migrate %s: %w", c.Module, err)
		}
		for _, result := range results {
			applied = append(applied, path.Base(result.Source.Path))
		}
	}
	if len(applied) > 0 {
		c.Log.LogAttrs(ctx, slog.LevelInfo, "migrated", slog.String("module", c.Module), slog.Any("migrations", applied))
	}
	pool, err := ownerPool(ctx, c.URL, owner)
	if err != nil {
		return err
	}
	defer pool.Close()
	river, err := c.river(pool)
	if err != nil {
		return err
	}
	if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the jobs of %s: %w", c.Module, err)
	}
	return c.beginEra(ctx, pool)
}

func ownerPool(ctx context.Context, url string, owner *pgx.ConnConfig) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.ConnConfig = owner
	config.MaxConns = 2
	return pgxpool.NewWithConfig(ctx, config)
}

func (c Config) river(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: c.Module, Logger: slog.New(slog.DiscardHandler)})
}

// behind says what the schema lacks for the code, or "". It fails if that is something that no migration can mend.
func (c Config) behind(ctx context.Context, pool *pgxpool.Pool) (string, error) {
	river, err := c.river(pool)
	if err != nil {
		return "", err
	}
	lines, err := c.lines()
	if err != nil {
		return "", err
	}
	riverVersions := map[int64]string{}
	for _, v := range river.AllVersions() {
		riverVersions[int64(v.Version)] = v.Name
	}
	for _, line := range []struct {
		what, query string
		folder      fs.FS // River has none.
	}{
		{"platform tables", "SELECT version_id FROM " + platformVersions + " WHERE is_applied", lines[platformVersions]},
		{"tables", "SELECT version_id FROM " + moduleVersions + " WHERE is_applied", lines[moduleVersions]},
		{"job tables", "SELECT version::bigint FROM river_migration", nil},
	} {
		named := riverVersions
		if line.folder != nil {
			if named, err = numbered(line.folder); err != nil {
				return "", err
			}
		}
		if len(named) == 0 {
			continue
		}
		rows, _ := pool.Query(ctx, line.query)
		has, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if problem := c.missing(err); problem != "" {
			return problem, nil
		}
		if err != nil {
			return "", err
		}
		has = append(has, 0)
		if name := late(named, has); name != "" {
			return "", fmt.Errorf("migration %s was never run on the %s of schema %s, which are at version %d already: it came late. Give it a number "+
				"after that one, and look whether what came in between still suits it; in development a new database will do, too",
				name, line.what, c.Module, slices.Max(has))
		}
		if need := slices.Max(slices.Collect(maps.Keys(named))); slices.Max(has) < need {
			return fmt.Sprintf("the %s of schema %s are at version %d, this program needs %d", line.what, c.Module, slices.Max(has), need), nil
		}
	}
	moved, err := isMoved(ctx, pool)
	if err != nil {
		return "", err
	}
	if moved {
		return fmt.Sprintf("the schema %s comes from another server, and its event log has not begun an era here", c.Module), nil
	}
	return "", nil
}

// missing says what an error means that a role, its password, its rights, the schema or a table are not there yet; "" if it means
// something else.
func (c Config) missing(err error) string {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return ""
	}
	switch pgErr.Code {
	case "28P01", "28000": // PostgreSQL does not tell which of the two it is.
		return fmt.Sprintf("the role %s cannot log in, because it has not been created or has a password from another secret", c.role())
	case "42501":
		return fmt.Sprintf("the role %s has no rights in the schema %s", c.role(), c.Module)
	case "42P01", "3F000":
		return fmt.Sprintf("the schema %s has not been created", c.Module)
	}
	return ""
}

// numbered returns the names of the migrations in a folder, by number.
func numbered(folder fs.FS) (map[int64]string, error) {
	names, err := fs.Glob(folder, "*.sql")
	if err != nil {
		return nil, err
	}
	named := map[int64]string{}
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s does not begin with a number", name)
		}
		if other, taken := named[n]; taken {
			return nil, fmt.Errorf("migrations %s and %s have the same number: give the one that came later a new one", other, name)
		}
		named[n] = name
	}
	return named, nil
}

// late returns the first migration that was not applied although a newer one was, or "". It was merged after the newer one had been
// released, and nobody knows whether it does on top of that what it was written for.
func late(named map[int64]string, has []int64) string {
	for _, number := range slices.Sorted(maps.Keys(named)) {
		if number < slices.Max(has) && !slices.Contains(has, number) {
			return named[number]
		}
	}
	return ""
}
