// Package trace has the shop send its telemetry to a receiver, and looks at what comes: one trace of a purchase through all modules and
// over a restart, the log, the metrics; and at what does not matter, like a collector that is away.
package trace

import (
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }
