package event

import "github.com/prometheus/client_golang/prometheus"

// metrics count what goes over the seam.
type metrics struct{ delivered, duplicates *prometheus.CounterVec }

func newMetrics() metrics {
	return metrics{
		delivered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cleave_event_delivered_total", Help: "Events of the module that a subscriber has applied, as far as this process delivered them.",
		}, []string{"subscriber"}),
		duplicates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cleave_inbox_duplicates_total", Help: "Events of a publisher that were delivered to the module in this process once more, and not applied again.",
		}, []string{"publisher"}),
	}
}

// Metrics returns what is counted here, for the registry of the process.
func (e *Events) Metrics() []prometheus.Collector {
	return []prometheus.Collector{e.metrics.delivered, e.metrics.duplicates}
}
