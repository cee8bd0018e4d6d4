//go:build unix

package postgres

import (
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestStartWaitsForTheOrphansOfAKilledServer(t *testing.T) {
	t.Parallel()
	o := quick(folder(t))
	s := start(t, o)
	// A statement whose process does not look whether the server still lives, until it is done.
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 5000000)")
		ended <- err
	}()
	defer func() { <-ended }()
	for query[int64](t, s.URL(), "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT count(*) FROM generate_series%'") == 0 {
		if len(ended) > 0 {
			t.Fatal("the statement was too short")
		}
	}
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	stop(t, s)

	again := start(t, o)
	query[int64](t, again.URL(), "SELECT 1::bigint")
}
