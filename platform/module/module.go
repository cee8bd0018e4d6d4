// Package module is the contract between a module and its host. A module says in one value what it is called, serves and calls, and
// how it is built; the host (platform/app) gives it what it needs, and decides where everything lives.
package module

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sort"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/person"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

// Module is what a module declares.
type Module struct {
	// Name is the module's name, its schema and part of its settings' names: small letters and digits.
	Name string
	// Owner is the team that answers for it, as cleave topology tells; empty if the house says so nowhere.
	Owner string
	// Serves are the services of the module's contract.
	Serves []*rpc.Service
	// Calls are the services of other modules that it calls. It cannot call others.
	Calls []*rpc.Service
	// Fallbacks say which of Calls it can do without, in some of what it does.
	Fallbacks []Fallback
	// Listens are the events of other modules that it listens to. It handles each with event.Handle, in Build.
	Listens []Subscription
	// Holds is where it holds something of people. It forgets them, with Host.People, when it hears that they are to be forgotten.
	Holds []person.Holding
	// Settings are its own settings: CLEAVE_<MODULE>_….
	Settings []config.Setting
	// Migrations holds the versioned SQL of its schema in a folder migrations, in goose format.
	Migrations fs.FS
	// Build makes the module. It must not call other modules yet: they may not be built. It returns a handler for each of Serves.
	Build func(*Host) ([]rpc.Handler, error)
}

// Subscription says that a module listens to events of another.
type Subscription = event.Subscription

// Host is what a module gets.
type Host struct {
	Log    *slog.Logger
	Config config.Values
	DB     *db.DB
	Jobs   *job.Client
	// Sagas drives work of several steps, see platform/saga.
	Sagas *saga.Client
	// Calls makes clients of the services that the module declares, with their generated constructors.
	Calls *rpc.Caller
	// Fallbacks are for services that the module declares it can do without.
	Fallbacks *Fallbacks
	// Events publishes what has happened here, and hands over what has happened elsewhere.
	Events *event.Events
	// People forgets those of whom the module holds something.
	People *person.Client
	// Tasks runs what goes on after a method has answered.
	Tasks *Tasks
	// Metrics takes what only this module counts, and adds the name of the module. docs/guides/metrics.md lists it.
	Metrics prometheus.Registerer
}

// Map is the map of the house: what all modules declare. Every binary carries it, because one that is compiled apart links no
// other module.
type Map struct {
	Modules []MapModule `json:"modules"`
	// Units say which modules a unit holds that is not called after them, by what its certificate calls it. Whoever divides a house in such
	// a way writes them into the file that CLEAVE_MAP_FILE names.
	Units map[string][]string `json:"units,omitempty"`
}

// MapModule is what one module declares.
type MapModule struct {
	Name   string       `json:"name"`
	Owner  string       `json:"owner,omitempty"`
	Serves []MapService `json:"serves"`
	// Calls are the names of the services that it calls.
	Calls []string `json:"calls"`
	// Fallbacks are what it does without some of them, by the names of the services.
	Fallbacks map[string]string `json:"fallbacks,omitempty"`
	// Listens are the modules whose events it listens to, in the order of their names.
	Listens []MapSubscription `json:"listens,omitempty"`
}

// MapService is a service on the map.
type MapService struct {
	Name string `json:"name"`
	// Public, Internal and Operator are the names of its methods.
	Public   []string `json:"public"`
	Internal []string `json:"internal"`
	Operator []string `json:"operator,omitempty"`
	// Edge are those of the internal ones that are the edge's to call.
	Edge []string `json:"edge,omitempty"`
}

// MapSubscription is who listens to what, on the map.
type MapSubscription struct {
	Publisher string `json:"publisher"`
	// Events are the types.
	Events []string `json:"events"`
}

// NewMap draws the map of the given modules, in the order of their names.
func NewMap(modules []Module) Map {
	m := Map{Modules: []MapModule{}}
	for _, module := range modules {
		entry := MapModule{Name: module.Name, Owner: module.Owner, Serves: []MapService{}, Calls: []string{}}
		for _, service := range module.Serves {
			s := MapService{Name: service.Name, Public: []string{}, Internal: []string{}}
			for _, method := range service.Methods {
				switch {
				case method.Public:
					s.Public = append(s.Public, method.Name)
				case method.Operator:
					s.Operator = append(s.Operator, method.Name)
				default:
					s.Internal = append(s.Internal, method.Name)
				}
				if method.SessionCookie != "" {
					s.Edge = append(s.Edge, method.Name)
				}
			}
			entry.Serves = append(entry.Serves, s)
		}
		for _, service := range module.Calls {
			entry.Calls = append(entry.Calls, service.Name)
		}
		sort.Strings(entry.Calls)
		for _, f := range module.Fallbacks {
			if entry.Fallbacks == nil {
				entry.Fallbacks = map[string]string{}
			}
			entry.Fallbacks[f.Service.Name] = f.Does
		}
		for _, s := range module.Listens {
			types := s.Types()
			sort.Strings(types)
			entry.Listens = append(entry.Listens, MapSubscription{Publisher: s.Publisher, Events: types})
		}
		sort.Slice(entry.Listens, func(i, j int) bool { return entry.Listens[i].Publisher < entry.Listens[j].Publisher })
		m.Modules = append(m.Modules, entry)
	}
	sort.Slice(m.Modules, func(i, j int) bool { return m.Modules[i].Name < m.Modules[j].Name })
	return m
}

// ReadMap reads the map that a binary carries, or the file that CLEAVE_MAP_FILE names in its place.
func ReadMap(carried []byte) (Map, error) {
	text, origin := carried, "the map in this binary"
	if file := os.Getenv("CLEAVE_MAP_FILE"); file != "" {
		var err error
		origin = "CLEAVE_MAP_FILE"
		if text, err = os.ReadFile(file); err != nil {
			return Map{}, fmt.Errorf("%s: %w", origin, err)
		}
	}
	m, err := ParseMap(text)
	if err != nil {
		return Map{}, fmt.Errorf("%s: %w", origin, err)
	}
	return m, nil
}

// ParseMap reads a map from JSON.
func ParseMap(text []byte) (Map, error) {
	var m Map
	if err := json.Unmarshal(text, &m); err != nil {
		return Map{}, fmt.Errorf("read the map of the house: %w", err)
	}
	if slices.Contains(m.Names(), rpc.EdgeCaller) {
		return Map{}, fmt.Errorf("read the map of the house: a module is called %s, as the public port is when it calls: choose another name", rpc.EdgeCaller)
	}
	for unit, modules := range m.Units {
		for _, name := range modules {
			if name != rpc.EdgeCaller && !slices.Contains(m.Names(), name) {
				return Map{}, fmt.Errorf("read the map of the house: the unit %s holds %s, which is no module on it", unit, name)
			}
		}
	}
	return m, nil
}

// Names returns the names of the modules on the map.
func (m Map) Names() []string {
	names := make([]string, 0, len(m.Modules))
	for _, module := range m.Modules {
		names = append(names, module.Name)
	}
	return names
}

// Serves reports whether some module on the map serves the service.
func (m Map) Serves(service string) bool {
	for _, module := range m.Modules {
		for _, s := range module.Serves {
			if s.Name == service {
				return true
			}
		}
	}
	return false
}

// CheckCalls says which declared call or subscription of a module leads nowhere.
func (m Map) CheckCalls(module Module) error {
	for _, service := range module.Calls {
		if !m.Serves(service.Name) {
			return fmt.Errorf("module %s calls %s, which no module on the map serves: run make generate, or correct CLEAVE_MAP_FILE", module.Name, service.Name)
		}
	}
	for _, s := range module.Listens {
		if !slices.Contains(m.Names(), s.Publisher) {
			return fmt.Errorf("module %s listens to %s, which is no module on the map: run make generate, or correct CLEAVE_MAP_FILE", module.Name, s.Publisher)
		}
	}
	return nil
}

// CheckHandlers says how what a module built differs from what it declares to serve.
func (m Module) CheckHandlers(handlers []rpc.Handler) error {
	built := map[string]bool{}
	for _, h := range handlers {
		built[h.Service.Name] = true
	}
	for _, service := range m.Serves {
		if !built[service.Name] {
			return fmt.Errorf("module %s declares that it serves %s but builds no handler for it", m.Name, service.Name)
		}
		delete(built, service.Name)
	}
	for name := range built {
		return fmt.Errorf("module %s builds a handler for %s but does not declare it: add it to Serves in its module.go", m.Name, name)
	}
	return nil
}

// background is the context of a task: the metadata of the call that began it, and the end of the process.
func background(stop context.Context, began context.Context) context.Context {
	return rpc.WithMetadata(stop, rpc.MetadataOf(began))
}
