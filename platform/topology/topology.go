package topology

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Unit says what one process of the house is.
type Unit struct {
	// Name is what the test calls it.
	Name string
	// Binary is a path, most often of [Binaries.Build].
	Binary string
	// Modules are those that live in it. The other units are told where they do.
	Modules []string
	// Edge says that it has the public port.
	Edge bool
	// Env are its settings, besides those of its ports and of where the others live. One that has certificates is called over TLS.
	Env map[string]string
}

// House is a number of units that know of each other.
type House struct {
	units []*Running // In the order in which they were started.
}

// Running is a unit of a [House].
type Running struct {
	Unit
	public, internal, admin string // Addresses; those that it does not open are empty.
	program                 Program
	process                 *Process
	earlier                 []*Process // Those that were killed or stopped before it.
}

// Start starts the units side by side and returns when all are ready. At the end of the test it stops those that still run, the last
// one first, and fails the test if one does not end well.
func Start(t testing.TB, units ...Unit) *House {
	t.Helper()
	h := &House{}
	for _, unit := range units {
		r := &Running{Unit: unit, admin: Reserve(t)}
		if unit.Edge {
			r.public = Reserve(t)
		}
		if len(unit.Modules) > 0 {
			r.internal = Reserve(t)
		}
		h.units = append(h.units, r)
	}
	for _, r := range h.units {
		r.program = Program{Name: r.Name, Binary: r.Binary, Env: h.settings(r), Dir: t.TempDir()}
	}
	t.Cleanup(func() { h.end(t) })
	for _, r := range h.units {
		r.launch(t)
	}
	for _, r := range h.units {
		r.AwaitReady(t)
	}
	return h
}

// settings returns what a unit finds set.
func (h *House) settings(r *Running) map[string]string {
	env := map[string]string{"CLEAVE_ADMIN_ADDR": r.admin}
	if r.Edge {
		env["CLEAVE_PUBLIC_ADDR"] = r.public
	}
	if r.internal != "" {
		env["CLEAVE_INTERNAL_ADDR"] = r.internal
	}
	for _, other := range h.units {
		if other == r {
			continue
		}
		for _, module := range other.Modules {
			env["CLEAVE_"+strings.ToUpper(module)+"_URL"] = other.url("CLEAVE_TLS_CERT_FILE", other.internal)
		}
	}
	maps.Copy(env, r.Env)
	return env
}

// Unit returns the unit with a name. It panics if there is none, because that is a mistake in the test.
func (h *House) Unit(name string) *Running {
	for _, r := range h.units {
		if r.Name == name {
			return r
		}
	}
	panic("there is no unit " + name)
}

// Logs returns what the processes of all units have said on their standard errors, also those that have ended.
func (h *House) Logs() string {
	var text strings.Builder
	for _, r := range h.units {
		for _, process := range append(slices.Clone(r.earlier), r.process) {
			text.WriteString(process.Stderr())
		}
	}
	return text.String()
}

// Public returns the URL of the public port.
func (h *House) Public() string {
	for _, r := range h.units {
		if r.Edge {
			return r.url("CLEAVE_PUBLIC_TLS_CERT_FILE", r.public)
		}
	}
	panic("no unit has a public port")
}

// Internal returns the URL of the internal port of the unit that a module lives in.
func (h *House) Internal(module string) string {
	for _, r := range h.units {
		for _, name := range r.Modules {
			if name == module {
				return r.url("CLEAVE_TLS_CERT_FILE", r.internal)
			}
		}
	}
	panic("module " + module + " lives nowhere")
}

// Units returns all units, in the order in which they were started.
func (h *House) Units() []*Running { return slices.Clone(h.units) }

// Admins returns the URLs of the operator's ports of all units.
func (h *House) Admins() []string {
	var urls []string
	for _, r := range h.units {
		urls = append(urls, r.Admin())
	}
	return urls
}

// end stops what still runs, the last one first, and shows in a failed test what all have said.
func (h *House) end(t testing.TB) {
	for i := len(h.units) - 1; i >= 0; i-- {
		if r := h.units[i]; r.process != nil {
			r.stop(t)
		}
	}
	for _, r := range h.units {
		for _, process := range append(slices.Clone(r.earlier), r.process) {
			if process != nil {
				process.end(t)
			}
		}
	}
}

// launch starts the unit's process. It belongs to the house and not to the test at hand, which may be a part of a longer one.
func (r *Running) launch(t testing.TB) {
	t.Helper()
	if r.process != nil {
		r.earlier = append(r.earlier, r.process)
	}
	process, err := start(r.program)
	if err != nil {
		t.Fatal(err)
	}
	r.process = process
}

// stop asks the unit to end, unless it has ended. One that nobody had asked to end fails the test.
func (r *Running) stop(t testing.TB) {
	t.Helper()
	select {
	case <-r.process.Exited():
		if state := r.process.cmd.ProcessState; !r.process.asked.Load() || state.ExitCode() > 0 {
			t.Errorf("%s has ended by itself with %s", r.Name, state)
		}
	default:
		r.process.Stop(t)
	}
}

// url returns the URL of a port for which a setting names a certificate, or not.
func (r *Running) url(certificate, addr string) string {
	if r.Env[certificate] != "" {
		return "https://" + addr
	}
	return "http://" + addr
}

// Process returns the process of the unit as it is now.
func (r *Running) Process() *Process { return r.process }

// Admin returns the URL of the operator's port.
func (r *Running) Admin() string { return "http://" + r.admin }

// Kill ends the unit without a chance to clean up, and waits until it is gone.
func (r *Running) Kill() { r.process.Kill() }

// Restart stops the unit if it still runs, starts it again on the same ports, and waits until it is ready.
func (r *Running) Restart(t testing.TB) {
	t.Helper()
	r.stop(t)
	r.launch(t)
	r.AwaitReady(t)
}

// AwaitReady waits until the unit says that it is ready, and fails the test if it ends instead.
func (r *Running) AwaitReady(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		problem := r.NotReady(ctx)
		if problem == "" {
			return
		}
		select {
		case <-tick.C:
		case <-r.process.Exited():
			t.Fatalf("%s ended with %s before it was ready:\n%s", r.Name, r.process.cmd.ProcessState, r.process.last(10))
		case <-ctx.Done():
			t.Fatalf("%s was not ready in %v: %s", r.Name, patience, problem)
		}
	}
}

// NotReady returns why the unit says that it is not ready, or "".
func (r *Running) NotReady(ctx context.Context) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Admin()+"/readyz", nil)
	if err != nil {
		return err.Error()
	}
	request.Close = true // A connection that is kept would be one more goroutine at the end of the test.
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err.Error()
	case response.StatusCode != http.StatusOK:
		return fmt.Sprintf("%s: %s", response.Status, text)
	}
	return ""
}

// Listen takes a port until the end of the test, and returns its address: for a test of what a program does then.
func Listen(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}
