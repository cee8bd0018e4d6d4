// Package house opens the shop as real processes, divided as a test wants it, and shops there.
//
// It owns the layouts, and a customer who goes on when the house fails for a moment. It does not own what a test does to the house, nor
// what has to hold then.
package house

import (
	"crypto/tls"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/mtls/mtlstest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

// Modules are those of the house. That they are all is held by the test of the map, see houseMap.
var Modules = []string{"catalog", "identity", "inventory", "notifications", "orders", "payments"}

// House is the shop at work.
type House struct {
	*topology.House
	// Databases are the superuser's URLs of the databases that the modules live in.
	Databases map[string]string

	// Authority signs the certificates of the units, and Certificates are these by the names of the units, if the house has any.
	Authority    *mtlstest.Authority
	Certificates map[string]*mtlstest.Folder

	options  Options
	binaries *topology.Binaries
	provider *provider
}

// Options are what a house has that one for users has not.
type Options struct {
	// Tags are build tags that every unit is built with, besides those for its modules.
	Tags []string
	// Env are settings of every unit.
	Env map[string]string
	// Provider says that the payment provider is a process of its own, with a database of its own.
	Provider bool
	// TLS says that units show each other certificates, and that the public port has one.
	TLS bool
}

// Layout is a way to divide the house.
type Layout struct {
	Name string
	open func(t testing.TB, h *House)
}

// The layouts.
var (
	// AllInOne is one process, "all", with one database.
	AllInOne = Layout{"all in one", allInOne}
	// AllApart is a process and a database per module, one of them on a server of its own, and the edge in a process of its own. Each is
	// called as its module is.
	AllApart = Layout{"all apart", allApart}
	// Twice is two such processes over one database, "all" and "spare". Who shops does so at the first.
	Twice = Layout{"all twice", twice}
	// Mixed has two modules in one process, "sales", the others apart, and one database for all.
	Mixed = Layout{"mixed", mixed}
)

// Open opens a house of this layout, with nothing on sale yet. It is closed at the end of the test. TestMain must be postgrestest.Main.
func (l Layout) Open(t testing.TB, binaries *topology.Binaries, options Options) *House {
	t.Helper()
	h := &House{Databases: map[string]string{}, Certificates: map[string]*mtlstest.Folder{}, options: options, binaries: binaries}
	if options.TLS {
		h.Authority = mtlstest.New(t)
	}
	if options.Provider {
		h.provider = newProvider(t, binaries)
		h.provider.Start(t)
	}
	l.open(t, h)
	return h
}

func allInOne(t testing.TB, h *House) { h.House = topology.Start(t, h.whole(t, "all")...) }

func twice(t testing.TB, h *House) { h.House = topology.Start(t, h.whole(t, "all", "spare")...) }

// whole returns units that hold everything.
func (h *House) whole(t testing.TB, names ...string) []topology.Unit {
	h.share(postgrestest.Database(t))
	binary := h.binaries.Build(t, "cmd/all", h.options.Tags...)
	// Where all modules are in one process there would be no internal port for the test otherwise.
	file := houseMap(t, func(m *module.Map) { m.Modules = append(m.Modules, module.MapModule{Name: "backoffice"}) })
	units := make([]topology.Unit, len(names))
	for i, name := range names {
		units[i] = h.unit(t, name, binary, Modules...)
		units[i].Edge = true
		units[i].Env["CLEAVE_MAP_FILE"] = file
	}
	return units
}

// houseMap returns the path of a map of the house that differs from that which the binaries carry.
func houseMap(t testing.TB, change func(*module.Map)) string {
	t.Helper()
	root, err := topology.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "cmd/internal/house/house.json"))
	if err != nil {
		t.Fatal(err)
	}
	house, err := module.ParseMap(text)
	if err != nil || !slices.Equal(house.Names(), Modules) {
		t.Fatalf("read the map of the house: %v, with %v", err, house.Names())
	}
	change(&house)
	if text, err = json.Marshal(house); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "map.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Trust returns the settings of a program that calls the public port.
func (h *House) Trust() map[string]string {
	if h.Authority == nil {
		return nil
	}
	return map[string]string{"SSL_CERT_FILE": h.Certificates["public"].CA}
}

// AsOrders returns what a client needs to call the house in the name of the module orders; nil if it has no certificates.
func (h *House) AsOrders() *tls.Config {
	if h.Authority == nil {
		return nil
	}
	return mtlstest.Config(h.Authority.Unit("orders"))
}

func allApart(t testing.TB, h *House) {
	var units []topology.Unit
	for _, name := range Modules {
		if name == "payments" {
			h.Databases[name] = postgrestest.Server(t).URL()
		} else {
			h.Databases[name] = postgrestest.Database(t)
		}
		units = append(units, h.part(t, name, name))
	}
	h.House = topology.Start(t, append(units, h.edge(t))...)
}

func mixed(t testing.TB, h *House) {
	h.share(postgrestest.Database(t))
	units := []topology.Unit{
		h.part(t, "catalog", "catalog"), h.part(t, "identity", "identity"), h.part(t, "inventory", "inventory"), h.part(t, "notifications", "notifications"), h.part(t, "sales", "orders", "payments"), h.edge(t),
	}
	file := houseMap(t, func(m *module.Map) { m.Units = map[string][]string{"sales": {"orders", "payments"}} })
	for _, unit := range units {
		unit.Env["CLEAVE_MAP_FILE"] = file
	}
	h.House = topology.Start(t, units...)
}

// share gives all modules the same database.
func (h *House) share(url string) {
	for _, name := range Modules {
		h.Databases[name] = url
	}
}

// part returns a unit that holds some modules.
func (h *House) part(t testing.TB, name string, modules ...string) topology.Unit {
	return h.unit(t, name, h.binaries.Build(t, "cmd/svc", append(modules, h.options.Tags...)...), modules...)
}

// edge returns the unit with the public port.
func (h *House) edge(t testing.TB) topology.Unit {
	unit := h.part(t, "edge", "edge")
	unit.Modules, unit.Edge = nil, true
	delete(unit.Env, "DATABASE_URL")
	if h.Authority != nil {
		f := mtlstest.NewFolder(t, h.Authority.Public(), h.Authority)
		unit.Env["CLEAVE_PUBLIC_TLS_CERT_FILE"], unit.Env["CLEAVE_PUBLIC_TLS_KEY_FILE"] = f.Cert, f.Key
		h.Certificates["public"] = f
	}
	return unit
}

func (h *House) unit(t testing.TB, name, binary string, modules ...string) topology.Unit {
	unit := topology.Unit{Name: name, Binary: binary, Modules: modules, Env: maps.Clone(h.options.Env)}
	if unit.Env == nil {
		unit.Env = map[string]string{}
	}
	if h.Authority != nil {
		f := mtlstest.NewFolder(t, h.Authority.Unit(name), h.Authority)
		unit.Env["CLEAVE_TLS_CERT_FILE"], unit.Env["CLEAVE_TLS_KEY_FILE"], unit.Env["CLEAVE_TLS_CA_FILE"] = f.Cert, f.Key, f.CA
		h.Certificates[name] = f
	}
	for _, module := range modules {
		switch {
		case module == "payments" && len(modules) == 1: // By its own setting, so that this is tried, too.
			unit.Env["CLEAVE_PAYMENTS_DATABASE_URL"] = h.Databases[module]
		default:
			unit.Env["DATABASE_URL"] = h.Databases[module]
		}
		if module == "payments" && h.provider != nil {
			unit.Env["CLEAVE_PAYMENTS_SANDBOX_URL"] = h.provider.url()
		}
	}
	return unit
}

// Seed writes the demo catalogue, with the tools that an operator would use.
func (h *House) Seed(t testing.TB) {
	t.Helper()
	tool := topology.Program{Name: "cleave seed", Binary: h.binaries.Build(t, "cmd/cleave"), Args: []string{"seed", "--url", h.Public()}, Env: h.Trust()}
	if first := h.Units()[0]; len(first.Modules) == len(Modules) {
		tool.Name, tool.Binary = "all seed", first.Binary
		tool.Args, tool.Env = []string{"seed"}, map[string]string{"DATABASE_URL": h.Databases["orders"]}
	}
	for range 2 { // It may be repeated.
		if _, code := topology.Run(t, tool); code != 0 {
			t.Fatalf("%s ended with %d", tool.Name, code)
		}
	}
}

// Verify runs cleave verify over the house, for orders that were acknowledged, and returns what it says and its exit code. It looks
// until everything has ended well, for at most half a minute.
func (h *House) Verify(t testing.TB, acknowledged ...string) (says string, code int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "acknowledged")
	if err := os.WriteFile(file, []byte(strings.Join(acknowledged, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	process, code := topology.Run(t, topology.Program{
		Name: "cleave verify", Binary: h.binaries.Build(t, "cmd/cleave"),
		Args: []string{"verify", "--admin", strings.Join(h.Admins(), ","), "--acknowledged", file, "--deadline", "0s", "--grace", "30s"},
	})
	return process.Stdout() + process.Stderr(), code
}
