package main

import (
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// TestProcess starts the whole of Cleave as a developer does. The tests share the binary, because a link takes seconds.
func TestProcess(t *testing.T) {
	binaries := topology.NewBinaries(t)
	binary := binaries.Build(t, "cmd/all")
	t.Run("what cannot work", func(t *testing.T) { cannotWork(t, binary) })
	t.Run("help", func(t *testing.T) { help(t, binary) })
	t.Run("health", func(t *testing.T) { health(t, binary) })
	t.Run("private database", func(t *testing.T) { privateDatabase(t, binaries) })
}
