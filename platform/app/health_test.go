package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/health"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/topology"
)

// A process says what it does until it is ready, and answers at the ports where somebody may ask.
func TestHealth(t *testing.T) {
	configure(t)
	building, build := make(chan bool), make(chan bool)
	here := (&parity{call: func(context.Context) error { return nil }}).module()
	made := here.Build
	here.Build = func(host *module.Host) ([]rpc.Handler, error) {
		close(building)
		<-build
		return made(host)
	}
	p := program(t, here, module.Module{Name: "elsewhere", Calls: []*rpc.Service{parityv1cleave.ParityService}})
	p.Modules = []module.Module{here}
	t.Setenv(adminAddr, topology.Reserve(t))
	asked := make(chan [3]string, 1)
	go func() {
		<-building
		says := func(path string) string {
			return fmt.Sprint(health.Ask(context.Background(), os.Getenv(adminAddr), path))
		}
		asked <- [3]string{says(health.LivePath), says(health.ReadyPath), says(health.StartupPath)}
		close(build)
	}()
	r := start(t, p)
	if got, want := <-asked, [3]string{"<nil>", "starting: building the modules", "starting: building the modules"}; got != want {
		t.Errorf("while it starts it says %q, want %q", got, want)
	}
	var report health.Report
	for _, c := range []struct {
		path   string
		header http.Header
	}{{"/readyz?verbose", nil}, {"/readyz", http.Header{"Accept": {"application/json"}}}} {
		if err := json.Unmarshal([]byte(fetch(t, http.MethodGet, r.admin+c.path, c.header, http.StatusOK)), &report); err != nil {
			t.Fatal(err)
		}
		if !report.Ready || !report.Started || len(report.Checks) != 1 || report.Checks[0] != (health.Result{Name: "database of parity", Well: true}) {
			t.Errorf("in detail it says %+v", report)
		}
	}
	// gRPC's contract over Connect; platform/health holds that it is the same over gRPC.
	for _, port := range []string{r.admin, r.internal} {
		for body, want := range map[string]string{
			`{}`: `{"status":"SERVING"}`, `{"service":"cleave.platform.parity.v1.ParityService"}`: `{"status":"SERVING"}`, `{"service":"nobody"}`: `"not_found"`,
		} {
			response, err := http.Post(port+"/grpc.health.v1.Health/Check", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := response.Write(&text); err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if !strings.Contains(strings.ReplaceAll(text.String(), " ", ""), want) {
				t.Errorf("%s at %s is answered with %s", body, port, text.String())
			}
		}
	}
	if got := fetch(t, http.MethodGet, r.admin+"/metrics", nil, http.StatusOK); !strings.Contains(got, "\ncleave_ready 1\n") {
		t.Error("the metrics do not say that it is ready")
	}
}

// profiling begins to make a profile of a minute, and waits until no other can be made. It returns what is done when that has ended.
func profiling(t *testing.T, r *running) (ended <-chan error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		response, err := http.Get(r.admin + "/debug/pprof/profile?seconds=60")
		if err == nil {
			response.Body.Close()
		}
		done <- err
	}()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(r.admin + "/debug/pprof/heap")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusTooManyRequests {
			return done
		}
		if time.Now().After(deadline) {
			t.Fatal("two profiles are made at once")
		}
	}
}

// A stop does not wait for who watches, nor for a profile.
func TestStopEndsWhatWatches(t *testing.T) {
	configure(t)
	r := start(t, program(t, (&parity{}).module()))
	ended := profiling(t, r)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.admin+"/grpc.health.v1.Health/Watch", strings.NewReader("\x00\x00\x00\x00\x02{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/connect+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := response.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.stop(t)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the stop took %s", took)
	}
	<-ended
	if text, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(text), "NOT_SERVING") && !strings.Contains(string(text), "unavailable") {
		t.Errorf("who watches is told %q, %v", text, err)
	}
}

// The operator's port is for operators: a web page in the browser of one can neither call it nor give it a name of its own, and no profile
// takes as long as somebody likes.
func TestOperatorsPortIsGuarded(t *testing.T) {
	configure(t)
	r := start(t, program(t, (&parity{}).module()))
	port := r.admin[strings.LastIndex(r.admin, ":"):]
	for _, c := range []struct {
		what, method, path, host string
		header                   http.Header
		status                   int
	}{
		{"a tool", http.MethodGet, "/readyz", "", nil, http.StatusOK},
		{"a tool that says localhost", http.MethodGet, "/readyz", "localhost" + port, nil, http.StatusOK},
		{"a tool that says IPv6", http.MethodGet, "/readyz", "[::1]" + port, nil, http.StatusOK},
		{"a name that was made to lead here", http.MethodGet, "/readyz", "evil.example" + port, nil, http.StatusMisdirectedRequest},
		{"the same for what changes something", http.MethodPost, "/jobs/parity/1/retry", "evil.example" + port, http.Header{"Sec-Fetch-Site": {"same-origin"}}, http.StatusMisdirectedRequest},
		{"a page of this port", http.MethodGet, "/jobs", "", http.Header{"Sec-Fetch-Site": {"same-origin"}}, http.StatusOK},
		{"an address that was typed", http.MethodGet, "/jobs", "", http.Header{"Sec-Fetch-Site": {"none"}}, http.StatusOK},
		{"a link", http.MethodGet, "/jobs", "", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, http.StatusOK},
		{"a link to a profile", http.MethodGet, "/debug/pprof/profile", "", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, http.StatusForbidden},
		{"an image of another site", http.MethodGet, "/metrics", "", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}, http.StatusForbidden},
		{"a script of another port", http.MethodGet, "/metrics", "", http.Header{"Sec-Fetch-Site": {"same-site"}, "Sec-Fetch-Mode": {"cors"}}, http.StatusForbidden},
		{"a form of another site", http.MethodPost, "/jobs/parity/1/retry", "", http.Header{"Origin": {"http://evil.example"}}, http.StatusForbidden},
		{"a profile", http.MethodGet, "/debug/pprof/goroutine?debug=1", "", nil, http.StatusOK},
		{"the list of profiles", http.MethodGet, "/debug/pprof/", "", nil, http.StatusOK},
		{"a profile of an hour", http.MethodGet, "/debug/pprof/profile?seconds=3600", "", nil, http.StatusBadRequest},
		{"a profile of less than nothing", http.MethodGet, "/debug/pprof/heap?seconds=-1", "", nil, http.StatusBadRequest},
		{"the command line", http.MethodGet, "/debug/pprof/cmdline", "", nil, http.StatusNotFound},
	} {
		t.Run(c.what, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), c.method, r.admin+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = c.host
			if c.header != nil {
				request.Header = c.header
			}
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != c.status {
				t.Errorf("it is answered with %s, want %d", response.Status, c.status)
			}
		})
	}
}
