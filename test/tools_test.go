package test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/topology"
)

// tools runs the programs beside the shop.
func tools(t *testing.T, s *shop, binaries *topology.Binaries) {
	for _, c := range []struct {
		program topology.Program
		says    string
	}{
		{
			topology.Program{Name: "cleave demo", Binary: binaries.Build(t, "cmd/cleave"), Args: []string{"demo", "--url", s.Public()}},
			"\nEvery order ended as it should.\n",
		},
		{
			topology.Program{Name: "client", Binary: binaries.Build(t, "examples/client"), Args: []string{"--url", s.Public()}},
			"ORDER_STATE_CONFIRMED: payment captured\n",
		},
		{
			topology.Program{Name: "cleave topology", Binary: binaries.Build(t, "cmd/cleave"), Args: []string{"topology", "--admin", strings.Join(s.Admins(), ",")}},
			"  yes\n",
		},
		{
			topology.Program{Name: "cleave load", Binary: binaries.Build(t, "cmd/cleave"), Args: []string{
				"load", "--url", s.Public(), "--admin", strings.Join(s.Admins(), ","), "--profile", "order", "--rate", "10", "--for", "2s", "--max-errors", "0",
			}},
			" s for 1,000\n",
		},
	} {
		c.program.Env = s.Trust()
		process, code := topology.Run(t, c.program)
		if code != 0 || process.Stderr() != "" || !strings.HasSuffix(process.Stdout(), c.says) {
			t.Errorf("%s ended with %d and said:\n%s%s", c.program.Name, code, process.Stdout(), process.Stderr())
		}
	}
}

// TestClientLinks holds that another app which uses the contracts links nothing of the platform, nor of the modules.
func TestClientLinks(t *testing.T) {
	t.Parallel()
	root, err := topology.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
	list.Dir = filepath.Join(root, "examples", "client")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	contracts := 0
	for _, pkg := range strings.Fields(string(out)) {
		rest, ours := strings.CutPrefix(pkg, "github.com/cleave-go/cleave/")
		switch {
		case !ours:
		case strings.HasPrefix(rest, "gen/cleave/"):
			contracts++
		default:
			t.Errorf("the client links %s", pkg)
		}
	}
	if contracts == 0 {
		t.Error("the client links no contract: the test looks at the wrong thing")
	}
}
