package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// oldestServer is the oldest PostgreSQL that the product is tried with.
const oldestServer = 15

// provision creates roles and schema and migrates, while it holds a lock of the module. Most often another replica has done so while
// this one waited for the lock.
func (c Config) provision(ctx context.Context, admin *pgx.ConnConfig, pool *pgxpool.Pool) error {
	conn, err := pgx.ConnectConfig(ctx, admin)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version/10000 < oldestServer {
		return fmt.Errorf("PostgreSQL %d is too old: %d or newer is needed", version/10000, oldestServer)
	}
	if err := c.lock(ctx, conn); err != nil {
		return fmt.Errorf("wait for the migration lock: %w", err)
	}
	if problem, err := c.behind(ctx, pool); err != nil || problem == "" {
		return err
	}
	if err := c.createRoles(ctx, conn, verifier(c.password(admin))); err != nil {
		return fmt.Errorf("create the roles of %s: %w", c.Module, err)
	}
	if err := c.createSchema(ctx, conn, admin.Database); err != nil {
		return fmt.Errorf("create the schema %s: %w", c.Module, err)
	}
	return c.migrate(ctx, admin)
}

// lockPause is about how long one waits before trying the lock again.
const lockPause = 50 * time.Millisecond

// lock takes the module's migration lock. The lock is of the session: it goes with the connection, also if this process is killed.
//
// It tries again instead of waiting in PostgreSQL, because CREATE INDEX CONCURRENTLY in the migration of another process waits for
// every statement that is under way: the two would wait for each other forever, and PostgreSQL could not see it.
func (c Config) lock(ctx context.Context, conn *pgx.Conn) error {
	for {
		var locked bool
		err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", "cleave migrate "+c.Module).Scan(&locked)
		if err != nil || locked {
			return err
		}
		select {
		case <-time.After(lockPause/2 + rand.N(lockPause)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// createRoles creates the two roles of the module. The server gets what it checks a password with and not the password, because it
// may write the statement to its log.
//
// Roles belong to the whole server while locks belong to a database.
func (c Config) createRoles(ctx context.Context, conn *pgx.Conn, verifier string) error {
	statement := fmt.Sprintf(`DO $do$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%[2]s') THEN
		CREATE ROLE %[2]s NOLOGIN;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') THEN
		CREATE ROLE %[1]s LOGIN NOINHERIT NOCREATEDB NOCREATEROLE NOREPLICATION;
	END IF;
	ALTER ROLE %[1]s PASSWORD '%[3]s';
	-- From version 16 on, who creates a role may pass it on but not take it.
	IF NOT pg_has_role(current_user, '%[2]s', CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END) THEN
		GRANT %[2]s TO CURRENT_USER;
	END IF;
END $do$`, c.role(), c.owner(), verifier)
	return execAlone(ctx, conn, statement)
}

// execAlone runs a statement that changes what belongs to the whole server or database. Another process may do the same at the same
// time, and PostgreSQL then fails one of the two: that one is tried again.
func execAlone(ctx context.Context, conn *pgx.Conn, statement string) error {
	const attempts = 20
	for attempt := 1; ; attempt++ {
		_, err := conn.Exec(ctx, statement)
		if err == nil || attempt == attempts || !isConcurrentChange(err) {
			return err
		}
		select {
		case <-time.After(rand.N(time.Duration(attempt) * 20 * time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isConcurrentChange reports whether two sessions changed the same catalogue row: unique_violation, duplicate_object, or the
// internal error "tuple concurrently updated".
func isConcurrentChange(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == "23505" || pgErr.Code == "42710" || pgErr.Code == "XX000")
}

func (c Config) createSchema(ctx context.Context, conn *pgx.Conn, database string) error {
	role, owner, schema := c.role(), c.owner(), pgx.Identifier{c.Module}.Sanitize()
	for _, statement := range []string{
		"CREATE SCHEMA IF NOT EXISTS " + schema + " AUTHORIZATION " + owner,
		"GRANT CONNECT ON DATABASE " + pgx.Identifier{database}.Sanitize() + " TO " + role,
		"GRANT USAGE ON SCHEMA " + schema + " TO " + role,
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + owner + " IN SCHEMA " + schema + " GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO " + role,
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + owner + " IN SCHEMA " + schema + " GRANT USAGE, SELECT ON SEQUENCES TO " + role,
	} {
		if err := execAlone(ctx, conn, statement); err != nil {
			return err
		}
	}
	return nil
}
