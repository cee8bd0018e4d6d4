package test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cleave-go/cleave/gen/contract"
	"github.com/cleave-go/cleave/platform/topology"
)

// scrape returns what the operator's port of a unit exposes, by name, and as it came.
func scrape(t *testing.T, unit *topology.Running) (map[string]*dto.MetricFamily, []byte) {
	t.Helper()
	response, err := http.Get(unit.Admin() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: %s, %v", response.Status, err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families, text
}

// ours reports whether a metric is one of Cleave's own, and not one of Go's.
func ours(name string) bool {
	return strings.HasPrefix(name, "cleave_") || strings.HasPrefix(name, "db_") || strings.HasPrefix(name, "rpc_")
}

// tabled returns the metrics that the guide lists.
func tabled(t *testing.T) []string {
	t.Helper()
	root, err := topology.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile(filepath.Join(root, "docs/guides/metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)`").FindAllSubmatch(guide, -1) {
		names = append(names, string(row[1]))
	}
	return names
}

// value returns the sum of the series of a metric that have these values of labels.
func value(family *dto.MetricFamily, labels ...string) (sum float64, series int) {
	for _, m := range family.GetMetric() {
		var has []string
		for _, label := range m.GetLabel() {
			has = append(has, label.GetValue())
		}
		if slices.ContainsFunc(labels, func(label string) bool { return !slices.Contains(has, label) }) {
			continue
		}
		sum += m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		series++
	}
	return sum, series
}

// anID is what no value of a label may be: an id of the house, a long number, or a long row of hexadecimal digits.
var anID = regexp.MustCompile(`[a-z]+_[0-9a-f]{16}|[0-9]{5}|[0-9a-f]{12}`)

// metrics looks at what the units of a shop say of themselves that has traded.
func metrics(t *testing.T, s *shop) {
	answered, _ := post(t, connectJSON.client(t, s), s.Public(), contract.Services()[0].Methods[0], "garbage", []byte("{}"))
	if answered != "unauthenticated" {
		t.Errorf("a bad token is answered with %s", answered)
	}
	seen := map[string]*dto.MetricFamily{} // Of all units together.
	look := func() {
		clear(seen)
		for _, unit := range s.Units() {
			families, text := scrape(t, unit)
			check := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
			check.Stdin = bytes.NewReader(text)
			if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("promtool check metrics of %s: %v\n%s", unit.Name, err, out)
			}
			for name, family := range families {
				if seen[name] == nil {
					seen[name] = &dto.MetricFamily{Name: family.Name, Type: family.Type}
				}
				seen[name].Metric = append(seen[name].Metric, family.GetMetric()...)
			}
		}
	}
	// What happens by itself may take a while after a start.
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
		look()
		delivered, _ := value(seen["cleave_event_delivered_total"], "orders", "notifications")
		worked, _ := value(seen["cleave_job_worked_total"], "platform.purge_requests", "ok")
		if delivered > 0 && worked > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v events count as delivered, and %v jobs as worked", delivered, worked)
		}
	}

	guide := tabled(t)
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if !ours(name) {
			continue
		}
		if !slices.Contains(guide, name) {
			t.Errorf("%s is not in docs/guides/metrics.md", name)
		}
		for _, m := range seen[name].GetMetric() {
			for _, label := range m.GetLabel() {
				if anID.MatchString(label.GetValue()) {
					t.Errorf("%s has the label %s=%q, which looks like an id", name, label.GetName(), label.GetValue())
				}
			}
		}
	}
	for _, name := range guide {
		if seen[name] == nil && s.Authority != nil { // Only such a house has certificates.
			t.Errorf("%s is in docs/guides/metrics.md and nobody exposes it", name)
		}
	}

	now, units := float64(time.Now().Unix()), float64(len(s.Units()))
	certified := 0.0 // Units with a certificate.
	if s.Authority != nil {
		certified = units
	}
	for _, c := range []struct {
		name        string
		labels      []string
		least, most float64
		series      int
	}{
		{"cleave_ready", nil, units, units, int(units)},
		{"rpc_server_call_duration_seconds", []string{"cleave.orders.v1.OrderService", "PlaceOrder", "ok"}, 1, 1e6, 1},
		{"cleave_saga_step_duration_seconds", []string{"checkout", "reserve"}, 1, 1e6, 1},
		{"cleave_event_lag", []string{"orders", "notifications"}, 0, 1e5, 1},
		{"cleave_event_lag_seconds", []string{"orders", "notifications"}, 0, 600, 1},
		{"cleave_event_delivered_total", []string{"orders", "notifications"}, 1, 1e6, 1},
		{"cleave_event_failed", []string{"notifications", "orders", "kept"}, 0, 0, 1},
		{"cleave_inbox_duplicates_total", []string{"notifications", "orders"}, 0, 1e6, 1},
		{"cleave_jobs", []string{"discarded"}, 0, 0, 6},
		{"cleave_jobs", []string{"orders"}, 0, 1e4, 5},
		{"cleave_job_age_seconds", nil, 0, 600, 6},
		{"cleave_job_worked_total", []string{"platform.purge_requests", "ok"}, 1, 1e3, 6},
		{"cleave_sagas", []string{"checkout", "reserve", "stuck"}, 0, 0, 1},
		{"cleave_saga_age_seconds", []string{"checkout", "reserve"}, 0, 600, 1},
		{"cleave_db_up", nil, 6, 6, 6},
		{"cleave_db_connection_budget", nil, 60, 360, int(min(units, 6))},
		{"db_client_connections", []string{"orders", "idle"}, 1, 60, 1},
		{"db_client_connection_max", []string{"orders"}, 10, 60, 1},
		{"db_client_connection_wait_seconds_total", []string{"orders"}, 1e-6, 1e3, 1},
		{"cleave_edge_refused_total", []string{"unknown"}, 1, 1e6, 1},
		{"cleave_edge_refused_total", []string{"token"}, 1, 1e6, 1},
		{"cleave_edge_requests_in_flight", nil, 0, 0, 1},
		{"cleave_oidc_keys_age_seconds", nil, 0, 3600, 1},
		{"cleave_oidc_keys_failures_total", nil, 0, 10, 1},
		{"cleave_certificate_expiry_timestamp_seconds", []string{"unit"}, now * certified, (now + 1e9) * certified, int(certified)},
		{"cleave_certificate_expiry_timestamp_seconds", []string{"public"}, now * min(certified, 1), (now + 1e9) * min(certified, 1), int(min(certified, 1))},
	} {
		if seen[c.name] == nil && c.series > 0 {
			t.Errorf("there is no %s", c.name)
			continue
		}
		if got, series := value(seen[c.name], c.labels...); got < c.least || got > c.most || series != c.series {
			t.Errorf("%s%q is %v in %d series, want %v to %v in %d", c.name, c.labels, got, series, c.least, c.most, c.series)
		}
	}
}
