package house

import (
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

// provider is the payment provider as a process of its own.
type provider struct {
	program topology.Program
	addr    string
	process *topology.Process
}

func newProvider(t testing.TB, binaries *topology.Binaries) *provider {
	addr := topology.Reserve(t)
	return &provider{addr: addr, program: topology.Program{
		Name: "sandbox", Binary: binaries.Build(t, "cmd/sandbox"), Dir: t.TempDir(),
		Env: map[string]string{"CLEAVE_SANDBOX_ADDR": addr, "DATABASE_URL": postgrestest.Database(t)},
	}}
}

func (p *provider) url() string { return "http://" + p.addr }

// Start starts the process, until the end of the test.
func (p *provider) Start(t testing.TB) {
	t.Helper()
	p.process = topology.Launch(t, p.program)
	p.process.Expect(t, "listens on")
}

// Provider returns the URL of the payment provider where it is a process of its own.
func (h *House) Provider() string { return h.provider.url() }

// KillProvider kills the payment provider's process.
func (h *House) KillProvider() { h.provider.process.Kill() }

// RestartProvider kills the payment provider's process, if it still runs, and starts it again. It then lives as long as the given test.
func (h *House) RestartProvider(t testing.TB) {
	t.Helper()
	h.KillProvider()
	h.provider.Start(t)
}
