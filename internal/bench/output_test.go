package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	got := parseBenchmarks([]byte(`goos: linux
goarch: amd64
BenchmarkCall/in-process-2         	  117534	      9641 ns/op	    3536 B/op	      45 allocs/op
BenchmarkCall/Connect_over_loopback_h2c-16      	    1394	    862539.5 ns/op
BenchmarkContext                   	 1594062	       743.2 ns/op
BenchmarkDeliver-2   	   20000	    183061 ns/op	      5463 events/s
PASS
`))
	want := []result{
		{inProcess, "ns/op", 9641}, {inProcess, "B/op", 3536}, {inProcess, "allocs/op", 45}, {overLoopback, "ns/op", 862539.5},
		{"BenchmarkContext", "ns/op", 743.2}, {delivered, "ns/op", 183061}, {delivered, "events/s", 5463},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseScore(t *testing.T) {
	t.Parallel()
	got, err := parseScore([]byte(`pgbench (15.18)
transaction type: order.sql
number of clients: 8
number of transactions actually processed: 10732
number of failed transactions: 0 (0.000%)
latency average = 14.912 ms
initial connection time = 31.054 ms
tps = 536.484123 (without initial connection time)
`))
	if err != nil || got.perSecond != 536.484123 || got.orders != 10732 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseScore([]byte("pgbench: error: connection refused")); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("without a result the error is %v, want what pgbench said", err)
	}
}

func TestParseUsage(t *testing.T) {
	t.Parallel()
	got, err := parseUsage([]byte("4711 (all (x) y) S 4700 4711 4711 0 -1 4194560 9 0 0 0 150 50 30 20 20 0 9 0 8812 1 2 3"))
	want := usage{pid: 4711, parent: 4700, own: 2 * time.Second, ended: 500 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	if got := string(lastLines([]byte("one\ntwo\n"))); got != "one\ntwo" {
		t.Errorf("of two lines: %q", got)
	}
	long := strings.Repeat("line\n", 40) + "the reason\n"
	if got := string(lastLines([]byte(long))); strings.Count(got, "\n") != 14 || !strings.HasSuffix(got, "the reason") {
		t.Errorf("of 41 lines: %q", got)
	}
}

func TestShortened(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"-- name: JobInsertFastMany :many\nWITH raw_job_data AS (SELECT 1)": "JobInsertFastMany",
		"SELECT  1\n\tFROM x": "SELECT 1 FROM x",
	} {
		if got := shortened(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
