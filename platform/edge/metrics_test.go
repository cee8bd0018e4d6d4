package edge_test

import (
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A request that cannot be read is counted as that, also if it is one of REST, and not as one for which there is no method.
func TestRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	d := newDoor(t, false)
	for _, c := range []struct{ verb, path, body string }{
		{"GET", "/v1/calls/x:watch?count=%zz", ""},
		{"GET", "/v1/calls/x:watch?count=1&count=2", ""},
		{"POST", "/v1/calls/x", `{"positive":`},
		{"DELETE", "/v1/calls/x", ""},
		{"GET", "/v1/orders", ""},
	} {
		d.ask(t, c.verb, c.path, c.body)
	}
	d.ask(t, "POST", "/v1/calls/x", "a=b", "Content-Type: application/x-www-form-urlencoded")
	registry, got := prometheus.NewRegistry(), map[string]float64{}
	registry.MustRegister(d.Metrics()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if n := metric.GetCounter().GetValue(); n > 0 {
				got[metric.GetLabel()[0].GetValue()] = n
			}
		}
	}
	if want := map[string]float64{"body": 4, "unknown": 2}; !maps.Equal(got, want) {
		t.Errorf("refused are %v, want %v", got, want)
	}
}
