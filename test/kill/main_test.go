package kill

import (
	"flag"
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// A house waits for leases to run out more than it computes, so more of them are open at once than there are processors.
	if err := flag.Set("test.parallel", "10"); err != nil {
		panic(err)
	}
	postgrestest.Main(m)
}
