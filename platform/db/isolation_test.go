package db_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

// intruder is the login of the module alpha in a database that it shares with the module beta.
type intruder struct {
	*pgx.Conn
	url    string
	config *pgx.ConnConfig
}

func setupIntruder(t *testing.T) *intruder {
	t.Helper()
	url := clone(t)
	config := open(t, config("alpha", url)).Pool().Config().ConnConfig
	conn, err := pgx.ConnectConfig(bounded(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	return &intruder{Conn: conn, url: url, config: config}
}

// code returns the SQLSTATE of an error; "" if it has none.
func code(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}

const insufficientPrivilege = "42501"

// others are the roles that the login of alpha must not become. The last is the superuser.
func others(t *testing.T, url string) []string {
	t.Helper()
	admin, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"cleave_alpha_owner", "cleave_beta", "cleave_beta_owner", pgx.Identifier{admin.User}.Sanitize()}
}

// forbidden are statements that the login of alpha must not be able to run.
func forbidden(url string) []string {
	var list []string
	for _, table := range []string{"beta.thing", "beta.entry", "beta.cleave_request", "beta.cleave_version", "beta.river_job", "beta.river_migration"} {
		list = append(list,
			"SELECT count(*) FROM "+table,
			"INSERT INTO "+table+" DEFAULT VALUES",
			"DELETE FROM "+table,
			"TRUNCATE "+table,
			"DO $$ BEGIN LOCK TABLE "+table+" IN ACCESS SHARE MODE; END $$",
			"COPY "+table+" TO STDOUT",
			"ALTER TABLE "+table+" ADD COLUMN x int",
			"DROP TABLE "+table,
			"GRANT SELECT ON "+table+" TO cleave_alpha",
			"CREATE INDEX ON "+table+" ((1))",
		)
	}
	return append(list,
		"UPDATE beta.thing SET name = 'x'",
		"SELECT nextval('beta.thing_id_seq')",
		"CREATE TABLE beta.mine (id int)",
		"DROP SCHEMA beta CASCADE",
		"ALTER SCHEMA beta RENAME TO gamma",
		"GRANT USAGE ON SCHEMA beta TO cleave_alpha",
		"ALTER DEFAULT PRIVILEGES FOR ROLE cleave_beta_owner GRANT SELECT ON TABLES TO cleave_alpha",
		// Its own schema has an owner that it is not.
		"CREATE TABLE alpha.mine (id int)",
		"CREATE VIEW alpha.mine AS SELECT 1",
		"CREATE FUNCTION alpha.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
		"ALTER TABLE alpha.thing ADD COLUMN x int",
		"ALTER TABLE alpha.thing OWNER TO cleave_alpha",
		"DROP TABLE alpha.thing",
		"TRUNCATE alpha.thing",
		"CREATE TRIGGER mine BEFORE INSERT ON alpha.thing EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"ALTER SCHEMA alpha OWNER TO cleave_alpha",
		// What has happened is never changed.
		"UPDATE alpha.entry SET name = 'x'",
		"DELETE FROM alpha.entry",
		"TRUNCATE alpha.entry",
		"INSERT INTO alpha.entry (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'x'",
		"MERGE INTO alpha.entry e USING (SELECT 1) one ON true WHEN MATCHED THEN DELETE",
		"SELECT * FROM alpha.entry FOR UPDATE",
		// Elsewhere.
		"CREATE TABLE public.mine (id int)",
		"CREATE SCHEMA mine",
		"CREATE DATABASE mine",
		"CREATE ROLE mine",
		"CREATE EXTENSION postgres_fdw",
		"ALTER ROLE cleave_alpha CREATEDB",
		"ALTER ROLE cleave_beta PASSWORD 'x'",
		"GRANT cleave_beta TO cleave_alpha",
		"GRANT cleave_alpha TO cleave_beta",
		"GRANT cleave_alpha_owner TO cleave_alpha",
		"GRANT pg_read_all_data TO cleave_alpha",
		"SELECT pg_read_file('PG_VERSION')",
		"COPY (SELECT 1) TO PROGRAM 'cat'",
		"SELECT rolpassword FROM pg_authid",
	)
}

// It can do its work, so that what it cannot do is not because it can do nothing.
func TestRoleReadsAndWritesItsOwnSchema(t *testing.T) {
	t.Parallel()
	i := setupIntruder(t)
	for _, statement := range []string{
		"INSERT INTO thing (name) VALUES ('a')",
		"UPDATE thing SET number = 1 WHERE name = 'a'",
		"SELECT * FROM thing FOR UPDATE",
		"INSERT INTO entry (name) VALUES ('a')",
		"SELECT * FROM alpha.entry",
		"DELETE FROM thing WHERE name = 'a'",
	} {
		if tag, err := i.Exec(bounded(t), statement); err != nil || tag.RowsAffected() != 1 {
			t.Errorf("%s: %v, %v", statement, tag, err)
		}
	}
}

func TestRoleTouchesNothingElse(t *testing.T) {
	t.Parallel()
	i := setupIntruder(t)
	ctx := bounded(t)
	for _, before := range []string{"", "RESET ROLE", "RESET SESSION AUTHORIZATION", "DISCARD ALL"} {
		if before != "" {
			if _, err := i.Exec(ctx, before); err != nil {
				t.Fatal(err)
			}
		}
		for _, statement := range forbidden(i.url) {
			// GRANT without a right to grant warns instead of failing when some other right is there; see the next test for its effect.
			if _, err := i.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); code(err) != insufficientPrivilege {
				t.Errorf("after %q, %q: %v, want insufficient privilege", before, statement, err)
			}
		}
	}
}

// A module's login is a member of no other role, so there is nothing that SET ROLE could make of it, nor an option of a new connection.
func TestRoleCannotBecomeAnother(t *testing.T) {
	t.Parallel()
	i := setupIntruder(t)
	ctx := bounded(t)
	for _, other := range others(t, i.url) {
		for _, statement := range []string{"SET ROLE " + other, "SET LOCAL ROLE " + other, "SET SESSION AUTHORIZATION " + other} {
			if _, err := i.Exec(ctx, statement); code(err) != insufficientPrivilege {
				t.Errorf("%s: %v, want insufficient privilege", statement, err)
			}
		}
		withOption := i.config.Copy()
		withOption.RuntimeParams["role"] = strings.Trim(other, `"`)
		if conn, err := pgx.ConnectConfig(ctx, withOption); err == nil {
			conn.Close(ctx)
			t.Errorf("a login with role=%s succeeded", other)
		} else if code(err) != insufficientPrivilege {
			t.Errorf("a login with role=%s: %v, want insufficient privilege", other, err)
		}
		asOther := i.config.Copy()
		asOther.User = strings.Trim(other, `"`)
		if conn, err := pgx.ConnectConfig(ctx, asOther); err == nil {
			conn.Close(ctx)
			t.Errorf("a login as %s with the password of alpha succeeded", other)
		} else if !slices.Contains([]string{"28P01", "28000"}, code(err)) {
			t.Errorf("a login as %s with the password of alpha: %v, want a refused password", other, err)
		}
	}
	var member int
	if err := i.QueryRow(ctx, "SELECT count(*) FROM pg_roles WHERE rolname <> current_user AND pg_has_role(oid, 'MEMBER')").Scan(&member); err != nil || member != 0 {
		t.Errorf("alpha is a member of %d other roles (%v)", member, err)
	}
	var powerful bool
	if err := i.QueryRow(ctx, "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls FROM pg_roles WHERE rolname = current_user").
		Scan(&powerful); err != nil || powerful {
		t.Errorf("alpha has a power over the whole server (%v)", err)
	}
}

// A default for its own next logins is all that a role can leave behind. It must not open a door.
func TestSecondLoginGainsNothing(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	open(t, config("beta", url))
	config := open(t, config("settler", url)).Pool().Config().ConnConfig
	ctx := bounded(t)
	for _, other := range []string{"cleave_settler_owner", "cleave_beta", "cleave_beta_owner"} {
		one, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		_, setErr := one.Exec(ctx, "ALTER ROLE cleave_settler SET role = "+other)
		_ = one.Close(ctx)
		two, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			continue // A default that is refused at the login is no door either.
		}
		for _, statement := range []string{"SELECT count(*) FROM beta.thing", "UPDATE settler.entry SET name = 'x'", "CREATE TABLE settler.mine (id int)"} {
			if _, err := two.Exec(ctx, statement); code(err) != insufficientPrivilege {
				t.Errorf("with the default role %s (%v), %s: %v, want insufficient privilege", other, setErr, statement, err)
			}
		}
		_ = two.Close(ctx)
	}
}

// What can be listed is what one has a right to.
func TestRoleListsNothingElse(t *testing.T) {
	t.Parallel()
	i := setupIntruder(t)
	ctx := bounded(t)
	for what, query := range map[string]string{
		"tables in the information schema":    "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_schema NOT IN ('alpha', 'pg_catalog', 'information_schema')",
		"columns in the information schema":   "SELECT table_schema || '.' || column_name FROM information_schema.columns WHERE table_schema NOT IN ('alpha', 'pg_catalog', 'information_schema')",
		"sequences in the information schema": "SELECT sequence_schema || '.' || sequence_name FROM information_schema.sequences WHERE sequence_schema <> 'alpha'",
		"rights on the tables of beta": `SELECT relname || ' ' || p FROM pg_class, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
			WHERE relnamespace = 'beta'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND (has_table_privilege(oid, p) OR
				p IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege(oid, p))`,
		"rights on the sequences of beta": `SELECT relname || ' ' || p FROM pg_class, unnest('{USAGE,SELECT,UPDATE}'::text[]) p
			WHERE relnamespace = 'beta'::regnamespace AND relkind = 'S' AND has_sequence_privilege(oid, p)`,
		"rights on schemas": `SELECT nspname || ' ' || p FROM pg_namespace, unnest('{CREATE,USAGE}'::text[]) p
			WHERE has_schema_privilege(oid, p) AND (nspname, p) NOT IN (('alpha', 'USAGE'), ('public', 'USAGE'), ('pg_catalog', 'USAGE'), ('information_schema', 'USAGE'))`,
		"the right to create in the database": "SELECT current_database() WHERE has_database_privilege(current_database(), 'CREATE')",
		"rights that can be passed on": `SELECT relname || ' ' || p FROM pg_class, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) p
			WHERE relnamespace = 'alpha'::regnamespace AND relkind = 'r' AND has_table_privilege(oid, p || ' WITH GRANT OPTION')`,
	} {
		rows, err := i.Query(ctx, query)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if len(found) > 0 {
			t.Errorf("%s: %q", what, found)
		}
	}
	var tables int
	if err := i.QueryRow(ctx, "SELECT count(*) FROM pg_class WHERE relnamespace = 'beta'::regnamespace AND relkind = 'r'").Scan(&tables); err != nil || tables < 5 {
		t.Errorf("there are %d tables in beta (%v): this test looks at the wrong place", tables, err)
	}
}

// PostgreSQL answers a GRANT of rights that may not be passed on with a warning, so what counts is what the other can do after it.
func TestRoleCannotPassItsRightsOn(t *testing.T) {
	t.Parallel()
	i := setupIntruder(t)
	ctx := bounded(t)
	for _, statement := range []string{
		"GRANT ALL ON SCHEMA alpha TO cleave_beta", "GRANT ALL ON ALL TABLES IN SCHEMA alpha TO cleave_beta", "GRANT SELECT ON alpha.thing TO PUBLIC",
		"GRANT ALL ON ALL SEQUENCES IN SCHEMA alpha TO cleave_beta", "GRANT USAGE ON SCHEMA alpha TO PUBLIC",
		"ALTER DEFAULT PRIVILEGES IN SCHEMA alpha GRANT SELECT ON TABLES TO cleave_beta",
	} {
		if _, err := i.Exec(ctx, statement); err != nil && code(err) != insufficientPrivilege {
			t.Errorf("%s: %v", statement, err)
		}
	}
	beta := open(t, config("beta", i.url)).Pool()
	for _, statement := range []string{"SELECT count(*) FROM alpha.thing", "INSERT INTO alpha.thing (name) VALUES ('b')", "SELECT nextval('alpha.thing_id_seq')"} {
		if _, err := beta.Exec(ctx, statement); code(err) != insufficientPrivilege {
			t.Errorf("beta, %s: %v, want insufficient privilege", statement, err)
		}
	}
	var granted []string
	if err := i.QueryRow(ctx, `SELECT coalesce(array_agg(relname::text), '{}') FROM pg_class
		WHERE relnamespace = 'alpha'::regnamespace AND relkind IN ('r', 'S') AND EXISTS (SELECT FROM aclexplode(relacl) a WHERE a.grantee = 'cleave_beta'::regrole)`).
		Scan(&granted); err != nil || len(granted) > 0 {
		t.Errorf("beta has rights on %q of alpha (%v)", granted, err)
	}
}

// Every module of a server keeps out every other, whatever the order in which they came.
func TestRolesKeepEachOtherOut(t *testing.T) {
	t.Parallel()
	url := clone(t)
	for _, c := range []struct{ module, other string }{{"alpha", "beta"}, {"beta", "alpha"}} {
		_, err := open(t, config(c.module, url)).Pool().Exec(bounded(t), fmt.Sprintf("SELECT count(*) FROM %s.thing", c.other))
		if code(err) != insufficientPrivilege {
			t.Errorf("%s reads %s: %v, want insufficient privilege", c.module, c.other, err)
		}
	}
}
