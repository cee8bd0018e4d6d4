package observability

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// told is somebody whom Alertmanager tells: what it has been sent, by the path.
type told struct {
	*httptest.Server
	mu   sync.Mutex
	sent map[string][]string
}

func listen(t testing.TB) *told {
	l := &told{sent: map[string][]string{}}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // What came counts.
		l.mu.Lock()
		defer l.mu.Unlock()
		l.sent[r.URL.Path] = append(l.sent[r.URL.Path], r.Header.Get("Authorization")+string(body))
		w.WriteHeader(http.StatusAccepted) // As PagerDuty and Opsgenie answer.
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *told) at(path string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent[path])
}

// message is what Alertmanager sends to a webhook.
type message struct {
	Alerts []struct {
		Status      string            `json:"status"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"alerts"`
}

// find returns the annotations of an alert in a state that a webhook has been told of, nil if it has not.
func (l *told) find(t testing.TB, path, status string, labels map[string]string) map[string]string {
	t.Helper()
	for _, body := range l.at(path) {
		var m message
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatalf("the webhook %s got %q: %v", path, body, err)
		}
		for _, a := range m.Alerts {
			if a.Status == status && maps.Equal(a.Labels, labels) {
				return a.Annotations
			}
		}
	}
	return nil
}

// await waits until a webhook has been told of an alert in a state, and returns its annotations.
func (l *told) await(t testing.TB, path, status string, labels map[string]string) (annotations map[string]string) {
	t.Helper()
	await(t, func(context.Context) error {
		if annotations = l.find(t, path, status, labels); annotations == nil {
			return fmt.Errorf("the webhook %s was not told that %v is %s but %v", path, labels, status, l.at(path))
		}
		return nil
	})
	return annotations
}

// startAlertmanager starts one that tells the listener, and returns its address. It waits for a tenth of a second instead of 30 for more of
// the same, and for a second instead of five minutes for news.
func startAlertmanager(t testing.TB, to *told, changes ...change) string {
	t.Helper()
	folder := t.TempDir()
	changes = append(changes, change{"group_wait: 30s", "group_wait: 100ms"}, change{"group_interval: 5m", "group_interval: 1s"})
	ship(t, folder, "alertmanager/alertmanager.yml", changes...)
	folder = filepath.Join(folder, "alertmanager")
	if err := os.Mkdir(filepath.Join(folder, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pagerduty", "opsgenie"} {
		if err := os.WriteFile(filepath.Join(folder, "secrets", name), []byte("the-key-of-"+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address := topology.Reserve(t)
	topology.Launch(t, topology.Program{
		Name: "alertmanager", Binary: program(t, "prometheus-alertmanager"), Dir: folder,
		Args: []string{"--config.file=alertmanager.yml", "--storage.path=data", "--web.listen-address=" + address, "--cluster.listen-address="},
	})
	awaitOK(t, "http://"+address+"/-/ready")
	return address
}

// TestTargetDown kills the shop and has somebody paged, and told when it is back. Five seconds have to pass instead of a
// minute.
func TestTargetDown(t *testing.T) {
	t.Parallel()
	shop := house.AllInOne.Open(t, topology.NewBinaries(t), house.Options{})
	to := listen(t)
	alertmanager := startAlertmanager(t, to, change{"http://127.0.0.1:9094", to.URL})
	prometheus := startPrometheus(t, alertmanager, shop.House, change{"absent(up{job=\"cleave\"})\n        for: 1m", "absent(up{job=\"cleave\"})\n        for: 5s"})
	to.await(t, "/heartbeat", "firing", map[string]string{"alertname": "Watchdog", "severity": "none"})
	await(t, func(ctx context.Context) error {
		if found, err := prometheus.query(ctx, `up{job="cleave", unit="all"} == 1`); err != nil || len(found) != 1 {
			return fmt.Errorf("Prometheus has not scraped the shop: %v %w", found, err)
		}
		return nil
	})
	down := map[string]string{"alertname": "TargetDown", "severity": "page", "unit": "all"}
	if to.find(t, "/page", "firing", down) != nil {
		t.Error("the shop runs, and somebody is paged because it is down")
	}

	shop.Unit("all").Kill()
	annotations := to.await(t, "/page", "firing", down)
	if !strings.HasPrefix(annotations["summary"], "Nobody answers for all") || !strings.HasSuffix(annotations["runbook_url"], "/docs/runbooks/TargetDown.md") {
		t.Errorf("TargetDown has the annotations %v", annotations)
	}

	shop.Unit("all").Restart(t)
	to.await(t, "/page", "resolved", down)
}

// fire tells Alertmanager of alerts, as Prometheus does.
func fire(t testing.TB, alertmanager string, labels ...map[string]string) {
	t.Helper()
	type firing struct {
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	}
	var all []firing
	for _, l := range labels {
		all = append(all, firing{l, map[string]string{"summary": "The summary", "description": "The description.", "runbook_url": "https://runbook"}})
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+alertmanager+"/api/v2/alerts", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("Alertmanager answers %s", response.Status)
	}
}

// TestPagerDutyAndOpsgenie has both told, at servers that stand for theirs. They get the keys of the files and what whoever gets up needs.
func TestPagerDutyAndOpsgenie(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, option, page, ticket string }{
		{"pagerduty", "pagerduty_url: %s/told", `"severity":"critical"`, `"severity":"warning"`},
		{"opsgenie", "opsgenie_api_url: %s", `"priority":"P1"`, `"priority":"P3"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			to := listen(t)
			alertmanager := startAlertmanager(t, to, change{"receiver: webhook-page", "receiver: " + c.name + "-page"}, change{"receiver: webhook-ticket", "receiver: " + c.name + "-ticket"},
				change{"\nroute:", "\nglobal: {" + fmt.Sprintf(c.option, to.URL) + "}\nroute:"})
			fire(t, alertmanager, map[string]string{"alertname": "DatabaseDown", "severity": "page"}, map[string]string{"alertname": "JobsDiscarded", "severity": "ticket"})
			for what, severity := range map[string]string{"DatabaseDown": c.page, "JobsDiscarded": c.ticket} {
				await(t, func(context.Context) error {
					for _, body := range append(to.at("/told"), to.at("/v2/alerts")...) {
						if !slices.ContainsFunc([]string{what, severity, "The summary", "The description.", "https://runbook", "the-key-of-" + c.name}, func(part string) bool { return !strings.Contains(body, part) }) {
							return nil
						}
					}
					return fmt.Errorf("%s was not told of %s but %v", c.name, what, append(to.at("/told"), to.at("/v2/alerts")...))
				})
			}
		})
	}
}

// TestInhibition has alerts fire of which one says what the others would.
func TestInhibition(t *testing.T) {
	t.Parallel()
	to := listen(t)
	alertmanager := startAlertmanager(t, to, change{"http://127.0.0.1:9094", to.URL})
	is := func(name, severity string, pairs ...string) map[string]string {
		labels := map[string]string{"alertname": name, "severity": severity}
		for i := 0; i < len(pairs); i += 2 {
			labels[pairs[i]] = pairs[i+1]
		}
		return labels
	}
	fire(t, alertmanager,
		is("DatabaseDown", "page", "module", "orders"), is("TargetDown", "page", "unit", "edge"), is("SlowMethod", "page", "rpc_service", "s", "rpc_method", "m"),
		is("SagasStuck", "ticket", "module", "payments", "kind", "k"))
	silent := []map[string]string{
		is("DatabaseDown", "ticket", "module", "orders", "unit", "all", "instance", "i"), is("JobsOld", "page", "module", "orders"),
		is("SagasOld", "ticket", "module", "payments", "kind", "k"), is("TargetDown", "ticket", "unit", "edge", "instance", "i"),
		is("RestartsOften", "ticket", "unit", "edge", "instance", "i"), is("SlowMethod", "ticket", "rpc_service", "s", "rpc_method", "m"),
	}
	loud := []map[string]string{
		is("JobsOld", "page", "module", "catalog"), is("SagasOld", "page", "module", "payments", "kind", "k"), is("JobsDiscarded", "ticket", "module", "orders"),
		is("TargetDown", "ticket", "unit", "orders", "instance", "i"), is("SlowMethod", "ticket", "rpc_service", "s", "rpc_method", "n"),
	}
	fire(t, alertmanager, append(silent, loud...)...)
	var alerts []struct {
		Labels map[string]string `json:"labels"`
		Status struct {
			State string `json:"state"`
		} `json:"status"`
	}
	await(t, func(ctx context.Context) error {
		if err := get(ctx, "http://"+alertmanager+"/api/v2/alerts", &alerts); err != nil {
			return err
		}
		states := map[string]string{}
		for _, a := range alerts {
			states[fmt.Sprint(a.Labels)] = a.Status.State
		}
		for state, list := range map[string][]map[string]string{"suppressed": silent, "active": loud} {
			for _, labels := range list {
				if got := states[fmt.Sprint(labels)]; got != state {
					return fmt.Errorf("%v is %q, not %s", labels, got, state)
				}
			}
		}
		return nil
	})
}
