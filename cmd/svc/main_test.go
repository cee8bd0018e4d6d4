package main

import (
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// TestProcess starts binaries as an operator does. The tests share them, because a link takes seconds.
func TestProcess(t *testing.T) {
	binaries := topology.NewBinaries(t)
	t.Run("what cannot work", func(t *testing.T) { cannotWork(t, binaries) })
	t.Run("older schema", func(t *testing.T) { olderSchema(t, binaries.Build(t, "cmd/svc", "orders")) })
	t.Run("misspelt setting", func(t *testing.T) { misspeltSetting(t, binaries.Build(t, "cmd/svc", "edge")) })
	t.Run("help", func(t *testing.T) { help(t, binaries) })
}
