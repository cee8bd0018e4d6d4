package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

// The modules of the house. That they are all is held by the test of the map, see backOffice.
var modules = []string{"catalog", "inventory", "notifications", "orders", "payments"}

// shop is a house at work.
type shop struct {
	*topology.House
	// databases are the superuser's URLs of the databases that the modules live in.
	databases map[string]string
}

// layout is a way to divide the house.
type layout struct {
	name string
	// faults says that the faults are tried in it, too.
	faults bool
	open   func(t *testing.T, binaries *topology.Binaries) *shop
}

var layouts = []layout{
	{name: "all in one", open: allInOne},
	{name: "all apart", open: allApart, faults: true},
	{name: "mixed", open: mixed},
}

// allInOne is one process with one database.
func allInOne(t *testing.T, binaries *topology.Binaries) *shop {
	s := &shop{databases: common(postgrestest.Database(t))}
	binary := binaries.Build(t, "cmd/all")
	env := map[string]string{"DATABASE_URL": s.databases["orders"]}
	for range 2 { // It may be repeated.
		if _, code := topology.Run(t, topology.Program{Name: "all seed", Binary: binary, Args: []string{"seed"}, Env: env}); code != 0 {
			t.Fatalf("all seed ended with %d", code)
		}
	}
	env["CLEAVE_MAP_FILE"] = backOffice(t, binary)
	s.House = topology.Start(t, topology.Unit{Name: "all", Binary: binary, Modules: modules, Edge: true, Env: env})
	return s
}

// backOffice returns the path of a map of the house with one more module, which lives elsewhere and calls those of the shop: the test.
// Where all modules are in one process there would be no internal port for it otherwise.
func backOffice(t *testing.T, binary string) string {
	printed, code := topology.Run(t, topology.Program{Name: "all map", Binary: binary, Args: []string{"map"}})
	house, err := module.ParseMap([]byte(printed.Stdout()))
	if err != nil || code != 0 || len(house.Modules) != len(modules) {
		t.Fatalf("read the map of the house: %d, %v, with %v", code, err, house.Names())
	}
	house.Modules = append(house.Modules, module.MapModule{
		Name: "backoffice", Calls: []string{"cleave.catalog.v1.CatalogService", "cleave.inventory.v1.InventoryService", "cleave.payments.v1.PaymentService"},
	})
	text, err := json.Marshal(house)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "map.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// allApart is a process and a database per module, one of them on a server of its own, and the edge in a process of its own.
func allApart(t *testing.T, binaries *topology.Binaries) *shop {
	s := &shop{databases: map[string]string{}}
	var units []topology.Unit
	for _, name := range modules {
		unit := topology.Unit{Name: name, Binary: binaries.Build(t, "cmd/svc", name), Modules: []string{name}}
		if name == "payments" {
			s.databases[name] = postgrestest.Server(t).URL()
			unit.Env = map[string]string{"CLEAVE_PAYMENTS_DATABASE_URL": s.databases[name]}
		} else {
			s.databases[name] = postgrestest.Database(t)
			unit.Env = map[string]string{"DATABASE_URL": s.databases[name]}
		}
		units = append(units, unit)
	}
	units = append(units, topology.Unit{Name: "edge", Binary: binaries.Build(t, "cmd/svc", "edge"), Edge: true})
	s.House = topology.Start(t, units...)
	s.seed(t, binaries)
	return s
}

// mixed has two modules in one process, the others apart, and one database for all.
func mixed(t *testing.T, binaries *topology.Binaries) *shop {
	s := &shop{databases: common(postgrestest.Database(t))}
	env := map[string]string{"DATABASE_URL": s.databases["orders"]}
	s.House = topology.Start(t,
		topology.Unit{Name: "catalog", Binary: binaries.Build(t, "cmd/svc", "catalog"), Modules: []string{"catalog"}, Env: env},
		topology.Unit{Name: "inventory", Binary: binaries.Build(t, "cmd/svc", "inventory"), Modules: []string{"inventory"}, Env: env},
		topology.Unit{Name: "notifications", Binary: binaries.Build(t, "cmd/svc", "notifications"), Modules: []string{"notifications"}, Env: env},
		topology.Unit{Name: "sales", Binary: binaries.Build(t, "cmd/svc", "orders", "payments"), Modules: []string{"orders", "payments"}, Env: env},
		topology.Unit{Name: "edge", Binary: binaries.Build(t, "cmd/svc", "edge"), Edge: true},
	)
	s.seed(t, binaries)
	return s
}

// common gives all modules the same database.
func common(url string) map[string]string {
	databases := map[string]string{}
	for _, name := range modules {
		databases[name] = url
	}
	return databases
}

// seed writes the demo catalogue into a shop that is apart, with the tool that an operator would use.
func (s *shop) seed(t *testing.T, binaries *topology.Binaries) {
	t.Helper()
	tool := topology.Program{
		Name: "cleave seed", Binary: binaries.Build(t, "cmd/cleave"), Args: []string{"seed"},
		Env: map[string]string{"CLEAVE_CATALOG_URL": s.Internal("catalog"), "CLEAVE_INVENTORY_URL": s.Internal("inventory")},
	}
	if _, code := topology.Run(t, tool); code != 0 {
		t.Fatalf("cleave seed ended with %d", code)
	}
}
