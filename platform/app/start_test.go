package app

import (
	"encoding/json"
	"testing"

	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

// caller is a module that makes a client of the parity service. It declares what it is told to.
func caller(declares ...*rpc.Service) module.Module {
	return module.Module{
		Name: "caller", Calls: declares, Migrations: noTables,
		Build: func(host *module.Host) ([]rpc.Handler, error) {
			parityv1cleave.NewParityServiceClient(host.Calls)
			return nil, nil
		},
	}
}

// TestUndeclared holds that a module that calls what it does not declare, or serves something else than it declares, does not start.
func TestUndeclared(t *testing.T) {
	silent := (&parity{}).module()
	silent.Build = func(*module.Host) ([]rpc.Handler, error) { return nil, nil }
	secret := (&parity{}).module()
	secret.Serves = nil
	for name, c := range map[string]struct {
		modules []module.Module
		want    string
	}{
		"a call of a module in the same process": {
			[]module.Module{(&parity{}).module(), caller()},
			"module caller calls cleave.platform.parity.v1.ParityService but does not declare it: add it to Calls in its module.go",
		},
		"a call of a module that nobody knows": {
			[]module.Module{caller()},
			"module caller calls cleave.platform.parity.v1.ParityService but does not declare it: add it to Calls in its module.go",
		},
		"a declared call of a module that nobody knows": {
			[]module.Module{caller(parityv1cleave.ParityService)},
			"module caller calls cleave.platform.parity.v1.ParityService, which no module on the map serves: run make generate, or correct CLEAVE_MAP_FILE",
		},
		"a service that is declared and not served": {
			[]module.Module{silent}, "module parity declares that it serves cleave.platform.parity.v1.ParityService but builds no handler for it",
		},
		"a service that is served and not declared": {
			[]module.Module{secret},
			"module parity builds a handler for cleave.platform.parity.v1.ParityService but does not declare it: add it to Serves in its module.go",
		},
	} {
		t.Run(name, func(t *testing.T) {
			configure(t)
			if got := fails(t, program(t, c.modules...)); got != c.want {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}

// TestOtherName holds that a map that gives a service to a module of another name is no reason to panic.
func TestOtherName(t *testing.T) {
	configure(t)
	p := program(t, caller(parityv1cleave.ParityService))
	m := module.NewMap([]module.Module{(&parity{}).module(), p.Modules[0]})
	m.Modules[1].Name = "renamed"
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	p.Map = text
	start(t, p)
}
