// Package chaos kills the processes of a shop while customers shop, and then has the shop prove that nothing was lost, nothing was
// charged twice, and that the stock is exact.
//
// It is one program that runs short among the tests and long by hand:
//
//	go test ./test/chaos -run TestChaos -v -timeout 90m -args -checkouts 10000 -kills 200
//
// What each customer wants and who is killed follow from the seed, which a run logs; when exactly a kill comes depends on the machine.
package chaos

import (
	"flag"
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

var (
	checkouts = flag.Int("checkouts", 1000, "how many checkouts there are")
	kills     = flag.Int("kills", 20, "how many processes are killed meanwhile")
	seed      = flag.Uint64("seed", 0, "repeats the wishes and the kills of a run; 0 makes new ones")
)

func TestMain(m *testing.M) { postgrestest.Main(m) }
