package app

import (
	"os"
	"strings"
	"testing"
)

// The next process at this address of this host takes over what this one was running when it was killed.
func TestJobsAreWorkedUnderTheNameOfTheReplica(t *testing.T) {
	r, conn := jobsOf(t)
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	var replica string
	if err := conn.QueryRow(t.Context(), "SELECT replica FROM parity.cleave_job_client").Scan(&replica); err != nil {
		t.Fatal(err)
	}
	if want := host + " " + strings.TrimPrefix(r.admin, "http://"); replica != want {
		t.Errorf("the replica is called %q, want %q", replica, want)
	}
}
