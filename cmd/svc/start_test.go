package main

import (
	"encoding/json"
	"maps"
	neturl "net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/cmd/internal/house"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

// nowhere is an address that nobody listens on.
const nowhere = "127.0.0.1:1"

// cannotWork starts what cannot work. Each failure ends the process with one clear line, the last on its standard error.
func cannotWork(t *testing.T, binaries *topology.Binaries) {
	taken := topology.Listen(t)
	anywhere := map[string]string{"CLEAVE_ADMIN_ADDR": "127.0.0.1:0", "CLEAVE_INTERNAL_ADDR": "127.0.0.1:0", "CLEAVE_PUBLIC_ADDR": "127.0.0.1:0"}
	for _, c := range []struct {
		name string
		tags []string
		args []string
		env  map[string]string
		code int
		says []string // What the last line says.
	}{
		{
			name: "no tags", code: 2,
			says: []string{"svc: nothing is in this binary: build it with tags", `go build -tags "orders payments" ./cmd/svc`, "catalog, identity, inventory, notifications, orders, payments, edge"},
		},
		{
			name: "an unknown tag", tags: []string{"edge", "paymets"}, code: 2,
			says: []string{`svc: the build tag "paymets" names no module: there are catalog, identity, inventory, notifications, orders, payments, edge`},
		},
		{
			name: "no database", tags: []string{"orders"}, code: 1,
			says: []string{"svc: no database is set: set DATABASE_URL, or CLEAVE_ORDERS_DATABASE_URL for this module alone"},
		},
		{
			name: "a database that does not answer", tags: []string{"orders"}, code: 1,
			env:  map[string]string{"DATABASE_URL": "postgres://cleave:hunter2@" + nowhere + "/cleave"},
			says: []string{"svc: the database of orders at " + nowhere + " cannot be reached: start it, or correct DATABASE_URL (connection refused)"},
		},
		{
			name: "a database that refuses the password", tags: []string{"orders"}, code: 1,
			env:  map[string]string{"DATABASE_URL": withPassword(t, postgrestest.URL(t), "hunter2")},
			says: []string{"svc: ", "orders", "password authentication failed"},
		},
		{
			name: "a database URL with a space", tags: []string{"orders"}, code: 1, env: map[string]string{"DATABASE_URL": "postgres://cleave:hunter2@db:port/cleave"},
			says: []string{"svc: DATABASE_URL: is not a URL that begins with postgres:// or postgresql://"},
		},
		{
			name: "a database URL of another kind", tags: []string{"orders"}, code: 1, env: map[string]string{"DATABASE_URL": "mysql://cleave:hunter2@db/cleave"},
			says: []string{"svc: DATABASE_URL: is not a URL that begins with postgres:// or postgresql://"},
		},
		{
			name: "a database URL with a wrong parameter", tags: []string{"orders"}, code: 1,
			env:  map[string]string{"DATABASE_URL": "postgres://cleave:hunter2@db/cleave?sslmode=perhaps"},
			says: []string{"svc: the database URL of orders cannot be read; it looks like postgres://user:password@host:5432/database"},
		},
		{
			name: "an older schema", tags: []string{"orders"}, code: 1,
			env:  map[string]string{"DATABASE_URL": postgrestest.Database(t), "CLEAVE_MIGRATE": "off"},
			says: []string{"svc: ", "has not been created", ": run the migrate command of this program, or set CLEAVE_MIGRATE=auto"},
		},
		{
			name: "migrate without leave", tags: []string{"orders"}, args: []string{"migrate"}, code: 1,
			env:  map[string]string{"DATABASE_URL": postgrestest.Database(t), "CLEAVE_MIGRATE": "off"},
			says: []string{"svc: CLEAVE_MIGRATE=off forbids it: unset it for this command"},
		},
		{
			name: "a taken port for the operator", tags: []string{"orders"}, code: 1, env: map[string]string{"CLEAVE_ADMIN_ADDR": taken},
			says: []string{"svc: " + taken + " is taken: stop the program that listens there, or set CLEAVE_ADMIN_ADDR"},
		},
		{
			name: "a taken internal port", tags: []string{"orders"}, code: 1, env: map[string]string{"CLEAVE_INTERNAL_ADDR": taken},
			says: []string{"svc: " + taken + " is taken: stop the program that listens there, or set CLEAVE_INTERNAL_ADDR"},
		},
		{
			name: "an internal port for everybody", tags: []string{"orders"}, code: 1, env: map[string]string{"CLEAVE_INTERNAL_ADDR": "0.0.0.0:0"},
			says: []string{"svc: CLEAVE_INTERNAL_ADDR is ", "any of them could call as any module: set CLEAVE_TLS_CERT_FILE, ", "or CLEAVE_INTERNAL_TLS=off if "},
		},
		{
			name: "a taken public port", tags: []string{"edge"}, code: 1, env: map[string]string{"CLEAVE_PUBLIC_ADDR": taken},
			says: []string{"svc: " + taken + " is taken: stop the program that listens there, or set CLEAVE_PUBLIC_ADDR"},
		},
		{
			name: "an address of another machine", tags: []string{"edge"}, code: 1, env: map[string]string{"CLEAVE_PUBLIC_ADDR": "192.0.2.1:80"},
			says: []string{"svc: listen on 192.0.2.1:80: ", "correct CLEAVE_PUBLIC_ADDR"},
		},
		{
			name: "a map without a service that is called", tags: []string{"orders"}, code: 1, env: map[string]string{"CLEAVE_MAP_FILE": mapWithout(t, "catalog")},
			says: []string{"svc: module orders calls cleave.catalog.v1.CatalogService, which no module on the map serves", "correct CLEAVE_MAP_FILE"},
		},
		{
			name: "a map without a service that the edge serves", tags: []string{"edge"}, code: 1, env: map[string]string{"CLEAVE_MAP_FILE": mapWithout(t, "catalog")},
			says: []string{"svc: the edge serves cleave.catalog.v1.CatalogService, which no module on the map serves", "correct CLEAVE_MAP_FILE"},
		},
		{
			name: "a map that is not there", tags: []string{"edge"}, code: 1, env: map[string]string{"CLEAVE_MAP_FILE": "/nowhere/map.json"},
			says: []string{"svc: CLEAVE_MAP_FILE: open /nowhere/map.json: no such file or directory"},
		},
		{
			name: "a map that is none", tags: []string{"edge"}, code: 1, env: map[string]string{"CLEAVE_MAP_FILE": file(t, "modules: []")},
			says: []string{"svc: CLEAVE_MAP_FILE: read the map of the house: invalid character"},
		},
		{
			name: "a URL of a peer that is none", tags: []string{"edge"}, code: 1, env: map[string]string{"CLEAVE_ORDERS_URL": "orders:9080"},
			says: []string{"svc: CLEAVE_ORDERS_URL: is not a URL that begins with http:// or https://"},
		},
		{
			name: "a secret given twice", tags: []string{"orders"}, code: 1,
			env:  map[string]string{"DATABASE_URL": "postgres://cleave:hunter2@db/cleave", "DATABASE_URL_FILE": file(t, "postgres://cleave:hunter2@db/cleave")},
			says: []string{"svc: DATABASE_URL: is set, and so is DATABASE_URL_FILE: set one of them"},
		},
		{
			name: "a word too many", tags: []string{"orders"}, args: []string{"serve"}, code: 1,
			says: []string{`svc: unknown command "serve" for "svc"`},
		},
		{
			name: "an unknown flag", tags: []string{"orders"}, args: []string{"--port=1"}, code: 1,
			says: []string{"svc: unknown flag: --port"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			env := maps.Clone(anywhere)
			maps.Copy(env, c.env)
			process, code := topology.Run(t, topology.Program{Name: "svc", Binary: binaries.Build(t, "cmd/svc", c.tags...), Args: c.args, Env: env})
			if code != c.code {
				t.Errorf("it ended with %d, want %d", code, c.code)
			}
			for _, text := range c.says {
				if !strings.Contains(process.LastLine(), text) {
					t.Errorf("it said %q, and nothing of %q", process.LastLine(), text)
				}
			}
			if strings.Contains(process.Stderr()+process.Stdout(), "hunter2") {
				t.Errorf("it told the password:\n%s", process.Stderr())
			}
			if strings.Contains(process.Stderr(), "goroutine ") {
				t.Errorf("it showed a stack:\n%s", process.Stderr())
			}
		})
	}
}

// mapWithout returns the path of a map of the house that lacks a module.
func mapWithout(t *testing.T, name string) string {
	t.Helper()
	m, err := module.ParseMap(house.Map)
	if err != nil {
		t.Fatal(err)
	}
	m.Modules = slices.DeleteFunc(m.Modules, func(m module.MapModule) bool { return m.Name == name })
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, string(text))
}

// file returns the path of a new file.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withPassword returns a database URL with another password.
func withPassword(t *testing.T, database, password string) string {
	t.Helper()
	u, err := neturl.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = neturl.UserPassword(u.User.Username(), password)
	return u.String()
}
