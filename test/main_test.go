// Package test plays what customers do in houses that are divided differently: all in one process, all apart, and mixed. What a
// customer sees must be the same in each.
//
// A scenario shops through the public port, in one of the protocols, with products that nobody else touches, so that all can be played
// at once. It notes what it sees; in the end the notes of the houses are compared. Faults, which only a house with several processes
// has, follow when the scenarios are done.
package test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A scenario waits for other processes more than it computes, so more of them run at once than there are processors.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	// A connection of toxiproxy that is cut while it is slowed leaves the goroutine that slows it.
	postgrestest.Main(m, goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"))
}
