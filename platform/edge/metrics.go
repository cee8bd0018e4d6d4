package edge

import (
	"errors"
	"net/http"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
)

// refusals counts what the door refuses, by reason.
type refusals struct {
	*prometheus.CounterVec
	byStatus map[int]prometheus.Counter
	token    prometheus.Counter
	shed     prometheus.Counter
}

func newRefusals() refusals {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cleave_edge_refused_total", Help: "Requests and connections that the public port has refused itself: rate, busy, shed, body, header, token, origin, unknown.",
	}, []string{"reason"})
	r := refusals{CounterVec: vec, byStatus: map[int]prometheus.Counter{}, token: vec.WithLabelValues("token"), shed: vec.WithLabelValues("shed")}
	for status, reason := range map[int]string{
		http.StatusTooManyRequests: "rate", http.StatusServiceUnavailable: "busy", http.StatusRequestHeaderFieldsTooLarge: "header", http.StatusForbidden: "origin",
		http.StatusNotFound: "unknown", http.StatusMethodNotAllowed: "unknown", http.StatusUnsupportedMediaType: "body", http.StatusRequestEntityTooLarge: "body", http.StatusRequestTimeout: "body", http.StatusBadRequest: "body",
	} {
		r.byStatus[status] = vec.WithLabelValues(reason)
	}
	return r
}

// count counts a refusal. An error of the protocol comes from whoever looks at tokens. A request of REST that means no method is refused for
// want of one, and counted by what is wrong with it.
func (r refusals) count(w http.ResponseWriter, err error) {
	var refused *refusal
	var connectErr *connect.Error
	switch {
	case errors.As(err, &refused) && refused.shed:
		r.shed.Inc()
	case errors.As(err, &refused):
		status := refused.status
		if plain, ok := w.(*restAnswer); ok && plain.refused != nil && status == http.StatusNotFound {
			status = plain.refused.status
		}
		if counter := r.byStatus[status]; counter != nil {
			counter.Inc()
		}
	case errors.As(err, &connectErr):
		r.token.Inc()
	}
}

// Metrics returns what is counted here, for the registry of the process.
func (e *Edge) Metrics() []prometheus.Collector {
	return []prometheus.Collector{e.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cleave_edge_requests_in_flight", Help: "Requests and streams of the public port that are under way.",
	}, func() float64 { return float64(e.requests.Load()) })}
}
