// Package observability holds what deploy/observability ships against the product: that Prometheus and Alertmanager, run for real, tell
// somebody when a shop dies and when it is back; that every query of every dashboard and every metric of every alert finds something in a
// shop that trades; that each alert has a runbook and cases, and that the commands of the runbooks exist.
//
// The configurations are used as they are shipped, but for what a test cannot have: addresses, and times that it would have to wait for.
// Each test says which it changes.
package observability

import (
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }
