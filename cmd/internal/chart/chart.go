// Package chart draws the topology of the house: its modules, who calls and who listens to whom, and, where somebody has asked running
// units, which unit holds what, where it lives and whether it is well.
//
// It owns the drawing, in text, JSON and Markdown with a Mermaid diagram. It does not own the facts: the modules declare them (see
// platform/module), and units tell of themselves at their operator's ports.
package chart

import (
	"slices"
	"strings"

	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Chart is the topology.
type Chart struct {
	Modules []Module `json:"modules"`
	Calls   []Call   `json:"calls"`
	Events  []Flow   `json:"events"`
	// Units are those that were asked, see [Chart.Ask]; or else those that the map names.
	Units []Unit `json:"units,omitempty"`
}

// Module is what a module declares.
type Module struct {
	Name string `json:"name"`
	// Owner is the team that answers for it, if the house says so.
	Owner    string              `json:"owner,omitempty"`
	Services []module.MapService `json:"services"`
}

// Call says that a caller, a module or the edge, calls a service of a module.
type Call struct {
	Caller  string `json:"caller"`
	Module  string `json:"module"`
	Service string `json:"service"`
}

// Flow says that a subscriber listens to events of a publisher.
type Flow struct {
	Publisher  string   `json:"publisher"`
	Subscriber string   `json:"subscriber"`
	Types      []string `json:"types"`
}

// New draws what is on the map.
func New(m module.Map) *Chart {
	c := &Chart{Modules: []Module{}, Calls: []Call{}, Events: []Flow{}}
	serves := map[string]string{} // The module, by service.
	for _, declared := range m.Modules {
		c.Modules = append(c.Modules, Module{Name: declared.Name, Owner: declared.Owner, Services: declared.Serves})
		for _, service := range declared.Serves {
			serves[service.Name] = declared.Name
			if len(service.Public)+len(service.Edge) > 0 {
				c.Calls = append(c.Calls, Call{Caller: rpc.EdgeCaller, Module: declared.Name, Service: service.Name})
			}
		}
	}
	for _, declared := range m.Modules {
		for _, service := range declared.Calls {
			c.Calls = append(c.Calls, Call{Caller: declared.Name, Module: serves[service], Service: service})
		}
		for _, s := range declared.Listens {
			c.Events = append(c.Events, Flow{Publisher: s.Publisher, Subscriber: declared.Name, Types: s.Events})
		}
	}
	for name, holds := range m.Units {
		c.Units = append(c.Units, Unit{Name: name, Holds: holds})
	}
	slices.SortFunc(c.Units, func(a, b Unit) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// short returns the name of a service as people call it: without the house and the version where that leaves no doubt, since the module
// stands beside it.
func short(service string) string { return service[strings.LastIndexByte(service, '.')+1:] }
