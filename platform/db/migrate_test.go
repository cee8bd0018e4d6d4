package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/postgrestest"
)

// replicaURL in the environment makes the test binary a program with four modules that opens their databases in this one and ends.
const replicaURL = "CLEAVE_DB_TEST_REPLICA_URL"

var replicaModules = []string{"one", "two", "three", "four"}

// replica is what a program with several modules does when it starts.
func replica(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var group errgroup.Group
	for _, module := range replicaModules {
		group.Go(func() error {
			d, err := db.Open(ctx, config(module, url))
			if err != nil {
				return fmt.Errorf("%s: %w", module, err)
			}
			defer d.Close()
			_, err = d.Pool().Exec(ctx, "INSERT INTO thing (name) VALUES ($1)", fmt.Sprint(os.Getpid()))
			return err
		})
	}
	return group.Wait()
}

// startReplicas starts programs at once and requires each of them to find everything in place.
func startReplicas(t *testing.T, url string, count int) {
	t.Helper()
	var waiting sync.WaitGroup
	for range count {
		cmd := exec.CommandContext(bounded(t), os.Args[0])
		cmd.Env = append(os.Environ(), replicaURL+"="+url)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waiting.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("a replica failed: %v\n%s", err, &said)
			}
		})
	}
	waiting.Wait()
	conn := superuser(t, url)
	for _, module := range replicaModules {
		var rows int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+module+".thing").Scan(&rows); err != nil || rows != count {
			t.Errorf("%d replicas wrote into %s (%v), want %d", rows, module, err, count)
		}
	}
}

// Replicas start at once, also the first time.
func TestReplicasMigrateAtOnce(t *testing.T) {
	t.Parallel()
	t.Run("empty server", func(t *testing.T) { startReplicas(t, postgrestest.Server(t).URL(), 6) })
	t.Run("empty database", func(t *testing.T) { startReplicas(t, postgrestest.Database(t), 6) })
	t.Run("databases of one empty server", func(t *testing.T) {
		server := postgrestest.Server(t)
		conn := superuser(t, server.URL())
		for _, name := range []string{"shop", "stage", "trial"} {
			run(t, conn, "CREATE DATABASE "+name)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				startReplicas(t, server.URLFor(name), 2)
			})
		}
	})
}

// An index that is built without stopping writers waits for every transaction that is open, so nobody may wait for the migration in one.
func TestReplicasWaitForIndexBuiltConcurrently(t *testing.T) {
	t.Parallel()
	const concurrently = `-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY thing_number ON thing (number);
-- +goose Down
DROP INDEX thing_number;
`
	for range 2 {
		url := postgrestest.Database(t)
		var group errgroup.Group
		for range 4 {
			group.Go(func() error {
				c := config("alpha", url)
				c.Migrations = migrations("alpha", concurrently)
				d, err := db.Open(bounded(t), c)
				if err == nil {
					d.Close()
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenWithoutMigrateSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(c *db.Config)
		want   string
	}{
		{"older tables", func(c *db.Config) { c.Migrations = migrations("alpha", second) },
			"the tables of schema alpha are at version 1, this program needs 2: run the migrate command of this program, or set CLEAVE_MIGRATE=auto"},
		{"no schema", func(c *db.Config) { *c = config("nowhere", c.URL) },
			"the role cleave_nowhere cannot log in"},
		{"other secret", func(c *db.Config) { c.Secret = "another" },
			"the role cleave_alpha cannot log in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := config("alpha", clone(t))
			c.change(&config)
			config.Migrate = false
			_, err := db.Open(bounded(t), config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
		})
	}
}

// The role is there, from another database of the server, but the schema is not.
func TestOpenWithoutMigrateSaysThatSchemaIsMissing(t *testing.T) {
	t.Parallel()
	clone(t)
	c := config("alpha", postgrestest.Database(t))
	c.Migrate = false
	_, err := db.Open(bounded(t), c)
	if err == nil || !strings.Contains(err.Error(), "the schema alpha has not been created: run the migrate command") {
		t.Errorf("%v, want a sentence about the schema", err)
	}
}

// While a release rolls out, the one before it runs on the new schema; it may also be started anew.
func TestNewerSchemaIsFine(t *testing.T) {
	t.Parallel()
	for _, migrate := range []bool{true, false} {
		newer := config("alpha", clone(t))
		newer.Migrations = migrations("alpha", second)
		open(t, newer)
		older := config("alpha", newer.URL)
		older.Migrate = migrate
		if _, err := open(t, older).Pool().Exec(bounded(t), "INSERT INTO thing (name) VALUES ('a')"); err != nil {
			t.Errorf("with migrate %v: %v", migrate, err)
		}
	}
}

// A migration that was merged after a newer one had been released is not passed over: the start says what to do, and nothing is run.
func TestLateMigrationStopsTheStart(t *testing.T) {
	t.Parallel()
	const third = "-- +goose Up\nALTER TABLE thing ADD COLUMN size text;\n"
	for name, more := range map[string][]string{"the late one alone": nil, "with a newer one": {"-- +goose Up\nALTER TABLE thing ADD COLUMN weight text;\n"}} {
		for _, migrate := range []bool{true, false} {
			t.Run(fmt.Sprint(name, migrate), func(t *testing.T) {
				t.Parallel()
				url := clone(t)
				released := config("alpha", url)
				released.Migrations = fstest.MapFS{
					"migrations/1_create.sql": {Data: fmt.Appendf(nil, first, "alpha")}, "migrations/3_more.sql": {Data: []byte(third)},
				}
				open(t, released)
				merged := config("alpha", url)
				merged.Migrate = migrate
				merged.Migrations = migrations("alpha", append([]string{second, third}, more...)...)
				_, err := db.Open(bounded(t), merged)
				const want = "migration 2_more.sql was never run on the tables of schema alpha, which are at version 3 already: it came late. Give it a number"
				if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want one line with %q", err, want)
				}
				open(t, released) // What is released still starts.
				if n, err := superuser(t, url).Exec(t.Context(), "SELECT FROM information_schema.columns WHERE table_schema = 'alpha' AND column_name IN ('colour', 'weight')"); err != nil || n.RowsAffected() > 0 {
					t.Errorf("%d columns of migrations that should not run are there, %v", n.RowsAffected(), err)
				}
			})
		}
	}
}

// Two who wrote a migration at once, and merged both.
func TestMigrationsOfOneNumberStopTheStart(t *testing.T) {
	t.Parallel()
	c := config("alpha", clone(t))
	c.Migrations = fstest.MapFS{
		"migrations/1_create.sql": {Data: fmt.Appendf(nil, first, "alpha")}, "migrations/2_more.sql": {Data: []byte(second)}, "migrations/2_other.sql": {Data: []byte(second)},
	}
	_, err := db.Open(bounded(t), c)
	if err == nil || !strings.Contains(err.Error(), "migrations 2_more.sql and 2_other.sql have the same number: give the one that came later a new one") {
		t.Errorf("%v, want a sentence about both", err)
	}
}

// A migration that fails leaves the schema at the one before, and is tried again at the next start.
func TestFailedMigrationIsTriedAgain(t *testing.T) {
	t.Parallel()
	c := config("alpha", clone(t))
	c.Migrations = migrations("alpha", "-- +goose Up\nALTER TABLE thing ADD COLUMN half text;\nSELECT 1/0;\n")
	if _, err := db.Open(bounded(t), c); err == nil || !strings.Contains(err.Error(), "migrate alpha: partial migration error (type:sql,version:2)") {
		t.Fatalf("%v, want an error that names the migration", err)
	}
	c.Migrations = migrations("alpha", "-- +goose Up\nALTER TABLE thing ADD COLUMN half text;\n")
	if _, err := open(t, c).Pool().Exec(bounded(t), "INSERT INTO thing (name, half) VALUES ('a', 'b')"); err != nil {
		t.Error(err)
	}
}

// Roles belong to the server: a second database on it must not lock out who uses the first.
func TestDatabasesOfOneServerShareRoles(t *testing.T) {
	t.Parallel()
	one := open(t, config("alpha", postgrestest.Database(t)))
	two := open(t, config("alpha", postgrestest.Database(t)))
	one.Pool().Reset() // So that it has to log in again.
	for _, d := range []*db.DB{one, two} {
		if _, err := d.Pool().Exec(bounded(t), "INSERT INTO thing (name) VALUES ('a')"); err != nil {
			t.Error(err)
		}
	}
}

// A hosted PostgreSQL gives nobody a superuser, but one who may create roles and owns the database.
func TestProvisionsWithoutSuperuser(t *testing.T) {
	t.Parallel()
	server := postgrestest.Server(t)
	conn := superuser(t, server.URL())
	run(t, conn, "CREATE ROLE shopkeeper LOGIN CREATEROLE PASSWORD 'open sesame'")
	run(t, conn, "CREATE DATABASE shop OWNER shopkeeper")
	at, err := url.Parse(server.URLFor("shop"))
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword("shopkeeper", "open sesame")
	for range 2 { // The second time finds everything there, but for the second migration.
		for _, module := range []string{"alpha", "beta"} {
			if _, err := open(t, config(module, at.String())).Pool().Exec(bounded(t), "INSERT INTO thing (name) VALUES (gen_random_uuid())"); err != nil {
				t.Fatal(err)
			}
		}
	}
	later := config("alpha", at.String())
	later.Migrations = migrations("alpha", second)
	d := open(t, later)
	if _, err := d.Pool().Exec(bounded(t), "INSERT INTO thing (name, colour) VALUES ('a', 'red')"); err != nil {
		t.Error(err)
	}
	if _, err := d.Pool().Exec(bounded(t), "SELECT count(*) FROM beta.thing"); code(err) != insufficientPrivilege {
		t.Errorf("alpha reads beta: %v, want insufficient privilege", err)
	}
}

// The passwords of the roles follow from the secret, and from the password of the URL without one: after a change of either the next
// start that may migrate sets them anew.
func TestChangedSecretSetsPasswordsAnew(t *testing.T) {
	t.Parallel()
	at, err := url.Parse(postgrestest.Server(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	conn := superuser(t, at.String())
	run(t, conn, "CREATE ROLE rotator SUPERUSER LOGIN PASSWORD 'first'")
	at.User = url.UserPassword("rotator", "first")
	c := config("rotated", at.String())
	old := open(t, c)
	for _, change := range []func(){
		func() { c.Secret = "a secret" },
		func() { c.Secret = "another secret" },
		func() {
			run(t, conn, "ALTER ROLE rotator PASSWORD 'second'")
			at.User = url.UserPassword("rotator", "second")
			c.URL, c.Secret = at.String(), ""
		},
	} {
		change()
		if _, err := open(t, c).Pool().Exec(bounded(t), "INSERT INTO thing (name) VALUES (gen_random_uuid())"); err != nil {
			t.Fatal(err)
		}
		// Every process that has the same secret finds the same password.
		same := c
		same.Migrate = false
		open(t, same)
	}
	old.Pool().Reset()
	if _, err := old.Pool().Exec(bounded(t), "SELECT 1"); code(err) != "28P01" {
		t.Errorf("a login with the old password: %v, want a refused password", err)
	}
}

// What is wrong with the setting is told without the password that is in it.
func TestOpenExplainsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, url, want string }{
		{"nobody there", "postgres://user:hunter2@127.0.0.1:1/shop", "the database of alpha at 127.0.0.1:1 cannot be reached: start it, or correct DATABASE_URL"},
		{"no such host", "postgres://user:hunter2@nowhere.invalid/shop", "the database of alpha at nowhere.invalid:5432 cannot be reached"},
		{"no secret", "postgres://user@127.0.0.1:1/shop", "set CLEAVE_DATABASE_SECRET"},
		{"not a URL", "postgres://user:hunter2@host:port/shop", "the database URL of alpha cannot be read; it looks like postgres://"},
	} {
		_, err := db.Open(bounded(t), config("alpha", c.url))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells the password: %v", c.name, err)
		}
	}
}

// The superuser's own password is wrong: nothing can be set up with it.
func TestOpenWithWrongPassword(t *testing.T) {
	t.Parallel()
	at, err := url.Parse(postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	at.User = url.UserPassword(at.User.Username(), "hunter2")
	c := config("stranger", at.String())
	_, err = db.Open(bounded(t), c)
	if code(err) != "28P01" || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v, want a refused password that is not told", err)
	}
}

func TestOpenGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	conn := superuser(t, url)
	run(t, conn, "SELECT pg_advisory_lock(hashtextextended('cleave migrate alpha', 0))") // Another replica migrates, and does not end.
	ctx, cancel := context.WithCancel(bounded(t))
	failed := make(chan error, 1)
	go func() {
		_, err := db.Open(ctx, config("alpha", url))
		failed <- err
	}()
	waitFor(t, url, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%advisory%' AND query NOT LIKE '%pg_stat_activity%' AND application_name = '')")
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that the context ended", err)
	}
}

// waitFor waits until a query yields true.
func waitFor(t *testing.T, url, query string) {
	t.Helper()
	ctx := bounded(t)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for holds := false; !holds; <-tick.C {
		if err := conn.QueryRow(ctx, query).Scan(&holds); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
}

// What is wrong with a server that answers is one line, too, that says what to do.
func TestOpenExplainsWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	at, err := url.Parse(postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	at.Path = "/nowhere"
	_, err = db.Open(bounded(t), config("stranger", at.String()))
	if err == nil || !strings.Contains(err.Error(), "there is no database nowhere for stranger: create it, or correct DATABASE_URL") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line that says what to do", err)
	}
}
