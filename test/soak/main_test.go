// Package soak lets customers come to the whole shop for a while, and compares what it holds afterwards with what it held before.
//
// It is one program that runs short among the tests and long by hand:
//
//	go test ./test/soak -run TestSoak -v -timeout 30m -args -seconds 600 -rate 20
//
// What it shows: memory, goroutines and connections do not grow with the load, neither while it lasts nor after it; every job, saga, hold,
// message and event that the load has made is gone when it is over; the house is in order; and a sale sells exactly what there was.
//
// What it does not show: a leak that is smaller than the limits in limits_test.go, in as many requests as there were. A short run finds what is
// left behind by each request or order, not a few hundred bytes of it. Nor does it bound what the shop keeps by design, which grows with
// the orders and is logged at the end: for good the orders themselves with their carts, holds, payments and ledger, the log of events and the
// inbox that goes with it (docs/adr/0007-event-log.md); mail for 90 days, sagas that ended for 60, answers and quotes for 7, jobs that are done
// for an hour.
package soak

import (
	"flag"
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

var (
	seconds = flag.Int("seconds", 15, "for how long customers come")
	rate    = flag.Float64("rate", 20, "how many come in a second")
)

func TestMain(m *testing.M) { postgrestest.Main(m) }
