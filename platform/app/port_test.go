package app

import (
	"context"
	"net"
	"testing"

	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

// TestPorts holds which ports a binary opens: the internal one only where somebody outside of it may call.
func TestPorts(t *testing.T) {
	here := (&parity{}).module()
	elsewhere := module.Module{Name: "elsewhere", Calls: []*rpc.Service{parityv1cleave.ParityService}}
	contracts := []*rpc.Service{parityv1cleave.ParityService}
	for name, c := range map[string]struct {
		modules, onMap   []module.Module
		edge             []*rpc.Service
		public, internal bool
	}{
		"everything":                {modules: []module.Module{here}, onMap: []module.Module{here}, edge: contracts, public: true},
		"a module":                  {modules: []module.Module{here}, onMap: []module.Module{here}, internal: true},
		"the edge":                  {onMap: []module.Module{here}, edge: contracts, public: true},
		"all but one":               {modules: []module.Module{here}, onMap: []module.Module{here, elsewhere}, edge: contracts, public: true, internal: true},
		"a module beside another's": {modules: []module.Module{here}, onMap: []module.Module{here, elsewhere}, internal: true},
	} {
		t.Run(name, func(t *testing.T) {
			configure(t)
			p := program(t, c.onMap...)
			p.Modules, p.Edge = c.modules, c.edge
			r := start(t, p)
			if (r.public != "") != c.public || (r.internal != "") != c.internal || r.admin == "" {
				t.Errorf("it listens on %q, %q and %q", r.public, r.internal, r.admin)
			}
		})
	}
}

// TestPort holds that PORT, which platforms set, moves the edge to all addresses unless its address is set.
func TestPort(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"neither":                      {nil, "127.0.0.1:8080"},
		"PORT":                         {map[string]string{"PORT": "3000"}, ":3000"},
		"the address":                  {map[string]string{publicAddr: "127.0.0.1:9000"}, "127.0.0.1:9000"},
		"both":                         {map[string]string{"PORT": "3000", publicAddr: "127.0.0.1:9000"}, "127.0.0.1:9000"},
		"both, with the usual address": {map[string]string{"PORT": "3000", publicAddr: "127.0.0.1:8080"}, "127.0.0.1:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			p := program(t, (&parity{}).module())
			p.Modules, p.Edge = nil, []*rpc.Service{parityv1cleave.ParityService}
			u, err := p.load()
			if err != nil {
				t.Fatal(err)
			}
			if got := u.publicAddr(); got != c.want {
				t.Errorf("the edge listens on %s, want %s", got, c.want)
			}
		})
	}
}

// TestDevelopmentUser holds that only who listens for this machine alone lets callers in who have not signed in.
func TestDevelopmentUser(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:0": true, "[::1]:0": true, ":0": false, "0.0.0.0:0": false} {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		if got := isLoopback(listener); got != want {
			t.Errorf("%s is for this machine alone: %v", addr, got)
		}
	}
}
