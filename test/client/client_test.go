package client

import (
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/browsertest"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

func TestClients(t *testing.T) {
	allowed, foreign := pages(t), pages(t)
	shop := house.AllInOne.Open(t, topology.NewBinaries(t), house.Options{Env: map[string]string{"CLEAVE_CORS_ORIGINS": allowed}})
	shop.Seed(t)
	for _, name := range []string{"calling.md", "rest.md"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guide(t, name, shop.Public())
		})
	}
	t.Run("browser", func(t *testing.T) {
		t.Parallel()
		browser := browsertest.Start(t)
		t.Run("reference", func(t *testing.T) { reference(t, browser, shop.Public()) })
		t.Run("gRPC-Web", func(t *testing.T) { web(t, browser, shop.Public(), allowed) })
		t.Run("gRPC-Web from a foreign origin", func(t *testing.T) { stranger(t, browser, shop.Public(), foreign) })
	})
}

// equal compares what was seen.
func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got, want = strings.TrimSpace(got), strings.TrimSpace(want); got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", what, got, want)
	}
}
