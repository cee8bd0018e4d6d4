package topology_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cleave-go/cleave/platform/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const unit = "platform/topology/testdata/unit"

// double stands for the test that uses the package, so that its failures can be looked at.
type double struct {
	*testing.T
	cleanups []func()
	errors   []string
}

func (d *double) Cleanup(f func())  { d.cleanups = append(d.cleanups, f) }
func (d *double) Error(args ...any) { d.errors = append(d.errors, fmt.Sprint(args...)) }
func (d *double) Errorf(format string, args ...any) {
	d.errors = append(d.errors, fmt.Sprintf(format, args...))
}
func (d *double) Logf(format string, args ...any) {
	d.errors = append(d.errors, fmt.Sprintf(format, args...))
}
func (d *double) Failed() bool                      { return len(d.errors) > 0 }
func (d *double) Fatal(args ...any)                 { d.Error(args...); panic(d) }
func (d *double) Fatalf(format string, args ...any) { d.Errorf(format, args...); panic(d) }

// use runs f as a test of its own and returns what the test said of its failure.
func use(t *testing.T, f func(t testing.TB)) string {
	d := &double{T: t}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(d) {
				panic(p)
			}
		}()
		f(d)
	}()
	for i := len(d.cleanups) - 1; i >= 0; i-- {
		d.cleanups[i]()
	}
	return strings.Join(d.errors, "\n")
}

func TestHouse(t *testing.T) {
	t.Setenv("CLEAVE_FOREIGN", "1") // Of the shell that runs the test: no unit may see it.
	binary := topology.NewBinaries(t).Build(t, unit)

	t.Run("units know where the others live", func(t *testing.T) {
		var house *topology.House
		if problem := use(t, func(t testing.TB) {
			house = topology.Start(t,
				topology.Unit{Name: "one", Binary: binary, Modules: []string{"orders", "payments"}, Env: map[string]string{"DATABASE_URL": "x"}},
				topology.Unit{Name: "other", Binary: binary, Modules: []string{"catalog"}, Edge: true},
			)
			orders, catalog := strings.TrimPrefix(house.Internal("orders"), "http://"), strings.TrimPrefix(house.Internal("catalog"), "http://")
			admin := strings.TrimPrefix(house.Unit("one").Admin(), "http://")
			want(t, house.Unit("one").Process(), "CLEAVE_ADMIN_ADDR="+admin, "CLEAVE_INTERNAL_ADDR="+orders, "CLEAVE_CATALOG_URL=http://"+catalog, "DATABASE_URL=x")
			admin = strings.TrimPrefix(house.Unit("other").Admin(), "http://")
			want(t, house.Unit("other").Process(), "CLEAVE_ADMIN_ADDR="+admin, "CLEAVE_INTERNAL_ADDR="+catalog,
				"CLEAVE_PUBLIC_ADDR="+strings.TrimPrefix(house.Public(), "http://"), "CLEAVE_ORDERS_URL=http://"+orders, "CLEAVE_PAYMENTS_URL=http://"+orders)
		}); problem != "" {
			t.Fatal(problem)
		}
		gone(t, house.Unit("one"))
		gone(t, house.Unit("other"))
	})

	t.Run("a unit with certificates is called over TLS", func(t *testing.T) {
		if problem := use(t, func(t testing.TB) {
			house := topology.Start(t,
				topology.Unit{Name: "one", Binary: binary, Modules: []string{"orders"}, Env: map[string]string{"CLEAVE_TLS_CERT_FILE": "x"}},
				topology.Unit{Name: "other", Binary: binary, Edge: true, Env: map[string]string{"CLEAVE_PUBLIC_TLS_CERT_FILE": "x"}},
			)
			want(t, house.Unit("other").Process(), "CLEAVE_ORDERS_URL="+house.Internal("orders"), "CLEAVE_PUBLIC_TLS_CERT_FILE=x",
				"CLEAVE_PUBLIC_ADDR="+strings.TrimPrefix(house.Public(), "https://"), "CLEAVE_ADMIN_ADDR="+strings.TrimPrefix(house.Unit("other").Admin(), "http://"))
			for _, url := range []string{house.Internal("orders"), house.Public()} {
				if !strings.HasPrefix(url, "https://") {
					t.Errorf("it is called at %s", url)
				}
			}
		}); problem != "" {
			t.Fatal(problem)
		}
	})

	t.Run("a killed unit comes back on its ports", func(t *testing.T) {
		if problem := use(t, func(t testing.TB) {
			r := topology.Start(t, topology.Unit{Name: "one", Binary: binary}).Unit("one")
			first, admin := r.Process(), r.Admin()
			r.Kill()
			if r.NotReady(t.Context()) == "" {
				t.Error("a killed unit is ready")
			}
			r.Restart(t)
			if r.Process() == first || r.Admin() != admin {
				t.Error("it is not another process on the same port")
			}
			r.Restart(t) // One that runs is stopped first.
		}); problem != "" {
			t.Fatal(problem)
		}
	})

	t.Run("a program runs to its end", func(t *testing.T) {
		process, code := topology.Run(t, topology.Program{Name: "unit", Binary: binary, Args: []string{"fail"}})
		if code != 3 || process.Stderr() != "unit: it cannot work\n" || process.Stdout() != "" {
			t.Errorf("got exit code %d, %q and %q", code, process.Stderr(), process.Stdout())
		}
	})

	for _, c := range []struct {
		name string
		use  func(t testing.TB)
		says []string
	}{
		{
			"a unit that ends at once", func(t testing.TB) { topology.Start(t, topology.Unit{Name: "one", Binary: "/bin/false"}) },
			[]string{"one ended with exit status 1 before it was ready"},
		},
		{
			"a unit that stops badly",
			func(t testing.TB) {
				topology.Start(t, topology.Unit{Name: "one", Binary: binary, Env: map[string]string{"CLEAVE_STOP_BADLY": "1"}})
			},
			[]string{"one was asked to stop and ended with exit status 4", "unit: serves"},
		},
		{
			"a unit that ends by itself",
			func(t testing.TB) {
				house := topology.Start(t, topology.Unit{Name: "one", Binary: binary, Env: map[string]string{"CLEAVE_END": "now"}})
				house.Unit("one").Process().Wait(t)
			},
			[]string{"one has ended by itself with exit status 0"},
		},
		{
			"a binary that is not there", func(t testing.TB) { topology.Start(t, topology.Unit{Name: "one", Binary: "/nowhere"}) },
			[]string{"start one: ", "no such file"},
		},
		{
			"a package that cannot be built", func(t testing.TB) { topology.NewBinaries(t).Build(t, "platform/topology/nowhere") },
			[]string{"platform/topology/nowhere", "no such file"},
		},
		{
			"a text that is never said",
			func(t testing.TB) {
				topology.Launch(t, topology.Program{Name: "one", Binary: binary, Args: []string{"fail"}}).Expect(t, "ready")
			},
			[]string{`one ended and has not said "ready"`, "unit: it cannot work"},
		},
	} {
		t.Run(c.name+" fails the test", func(t *testing.T) {
			problem := use(t, c.use)
			for _, text := range c.says {
				if !strings.Contains(problem, text) {
					t.Errorf("the test said %q, not %q", problem, text)
				}
			}
		})
	}
}

// want requires that the unit has seen exactly these variables.
func want(t testing.TB, p *topology.Process, variables ...string) {
	t.Helper()
	p.Expect(t, "serves")
	got := strings.Fields(p.Stdout())
	if len(got) != len(variables) {
		t.Errorf("a unit found %q, want %q", got, variables)
	}
	for _, variable := range variables {
		if !strings.Contains(p.Stdout(), variable+"\n") {
			t.Errorf("a unit found %q, and not %s", got, variable)
		}
	}
}

// gone requires that the unit has ended, and its port is free.
func gone(t *testing.T, r *topology.Running) {
	t.Helper()
	select {
	case <-r.Process().Exited():
	default:
		t.Errorf("%s still runs", r.Name)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(r.Admin(), "http://")); err == nil {
		conn.Close()
		t.Errorf("%s still listens", r.Name)
	}
}
