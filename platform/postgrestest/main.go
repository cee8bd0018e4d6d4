// Package postgrestest gives tests a real PostgreSQL: a throwaway cluster per test package, started at first use, and an
// empty or prepared database per test.
//
// It owns these clusters and their databases. It does not know what the tests put into them: migrations, roles and rows
// are the caller's, see Clone. Roles belong to the cluster, not to a database, and so are shared by the tests of a package.
//
// The clusters forget everything in a power cut and live in memory where there is enough; they are as fast as possible and
// useless for anything but tests. PostgreSQL has to be installed: without it a test fails, it is not skipped, since a test
// that silently does not run proves nothing. A cluster whose test was killed is removed by the next test on the machine.
package postgrestest

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Main runs the tests of a package with one throwaway cluster, and exits:
//
//	func TestMain(m *testing.M) { postgrestest.Main(m) }
//
// The cluster is started when a test first asks for it, and removed at the end. The package fails when goroutines are left
// after its tests; the options excuse some.
func Main(m *testing.M, leaks ...goleak.Option) {
	os.Exit(run(m, leaks))
}

func run(m interface{ Run() int }, leaks []goleak.Option) int {
	shared.open()
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "remove the PostgreSQL cluster of the tests:", err)
		code = max(code, 1)
	}
	// A failed test may well leave goroutines; its own message is the one to read.
	if code == 0 {
		if err := goleak.Find(leaks...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// patience is how long the start or the end of a cluster, or one statement of this package, may take. It is generous, for
// machines on which many test packages run at once.
const patience = 2 * time.Minute

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}
