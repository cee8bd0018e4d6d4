package chaos

import (
	"net"
	"testing"

	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

var modules = []string{"catalog", "inventory", "notifications", "orders", "payments"}

type shop struct {
	*topology.House
	program  topology.Program
	provider *topology.Process
}

func open(t *testing.T, binaries *topology.Binaries) *shop {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s := &shop{program: topology.Program{Name: "provider", Binary: binaries.Build(t, "cmd/sandbox"), Env: map[string]string{
		"CLEAVE_SANDBOX_ADDR": addr, "DATABASE_URL": postgrestest.Database(t),
	}}}
	s.start(t)
	var units []topology.Unit
	for _, name := range modules {
		unit := topology.Unit{Name: name, Binary: binaries.Build(t, "cmd/svc", name), Modules: []string{name}, Env: map[string]string{
			"DATABASE_URL": postgrestest.Database(t),
		}}
		if name == "payments" {
			unit.Env["CLEAVE_PAYMENTS_SANDBOX_URL"] = "http://" + addr
		}
		units = append(units, unit)
	}
	units = append(units, topology.Unit{Name: "edge", Binary: binaries.Build(t, "cmd/svc", "edge"), Edge: true})
	s.House = topology.Start(t, units...)
	return s
}

func (s *shop) start(t *testing.T) {
	s.provider = topology.Launch(t, s.program)
	s.provider.Expect(t, "listens on")
}
func (s *shop) kill(name string) {
	if name == "provider" {
		s.provider.Kill()
		return
	}
	s.Unit(name).Kill()
}
func (s *shop) restart(t *testing.T, name string) {
	if name == "provider" {
		s.start(t)
		return
	}
	s.Unit(name).Restart(t)
}
