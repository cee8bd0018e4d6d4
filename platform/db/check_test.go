package db_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

// Once a transaction has met that there is no room, the database is not well until there is.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	url := postgrestest.Database(t)
	d := open(t, config("roomless", url))
	admin := superuser(t, url)
	anew := func() { // Settings of a role are those of connections to come.
		run(t, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cleave roomless watch' AND datname = current_database()")
		d.Watch().Reset()
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), "ALTER ROLE cleave_roomless RESET temp_file_limit"); err != nil {
			t.Error(err)
		}
	})
	run(t, admin, "ALTER ROLE cleave_roomless SET temp_file_limit = 0")
	anew()
	if err := d.Check(bounded(t)); err != nil {
		t.Errorf("before anybody has met it: %v", err)
	}
	err := d.Tx(bounded(t), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DO $$ BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$`)
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "the database is unavailable") {
		t.Errorf("without room a transaction fails with %v, want that the database is unavailable", err)
	}
	for range 2 {
		if err := d.Check(bounded(t)); err == nil || err.Error() != "the database of roomless has no room on its disk" {
			t.Errorf("without room it says %v", err)
		}
	}
	run(t, admin, "ALTER ROLE cleave_roomless RESET temp_file_limit")
	anew()
	for range 2 {
		if err := d.Check(bounded(t)); err != nil {
			t.Errorf("with room again it says %v", err)
		}
	}
}

// A schema that has become older than the program, because it was restored, is not what the program can work with.
func TestOlderSchema(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string]string{
		"UPDATE alpha.cleave_version SET is_applied = false WHERE version_id = 1": "the tables of schema alpha are at version 0, this program needs 1",
		"DELETE FROM alpha.river_migration WHERE version > 4":                     "the job tables of schema alpha are at version 4, this program needs ",
		"DROP TABLE alpha.cleave_platform_version":                                `the schema alpha is not what it was: relation "cleave_platform_version" does not exist`,
	} {
		url := clone(t)
		s := newStore(t, url)
		run(t, superuser(t, url), statement)
		if err := s.Check(bounded(t)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("after %s it says %v, want %s", statement, err, want)
		}
	}
}
