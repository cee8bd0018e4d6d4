package db_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Whoever looks at the database from outside gets an answer also while the module has used up its connections, and nothing that takes long
// lasts. Nobody is connected for that before somebody looks.
func TestWatch(t *testing.T) {
	t.Parallel()
	url := clone(t)
	d := open(t, config("alpha", url))
	admin := superuser(t, url)
	watching := func() (n int) {
		if err := admin.QueryRow(bounded(t), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cleave alpha watch' AND datname = current_database()").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := watching(); n != 0 {
		t.Errorf("%d connections are open for nobody", n)
	}
	for range d.Pool().Config().MaxConns {
		conn, err := d.Pool().Acquire(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
	}
	rows, _ := d.Watch().Query(bounded(t), "SELECT current_user::text")
	if user, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string]); err != nil || user != "cleave_alpha" {
		t.Errorf("%q answered, %v", user, err)
	}
	if n := watching(); n != 1 {
		t.Errorf("%d connections are open for one who looks", n)
	}
	began := time.Now()
	if _, err := d.Watch().Exec(bounded(t), "SELECT pg_sleep(600)"); code(err) != "57014" {
		t.Errorf("after %s what takes long has ended with %v", time.Since(began), err)
	}
}
