package resilience

import (
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/rpc"
)

// metrics are those of a network. What is counted is resolved once per set or method; what is a state is asked of the sets when it is
// collected.
type metrics struct {
	duration                  *prometheus.HistogramVec
	attempts, declined, full  *prometheus.CounterVec
	breaker, inUse, addresses *prometheus.Desc
}

func newMetrics() *metrics {
	labels := []string{"module", "target", "service"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "rpc_client_call_duration_seconds", Help: "Duration of calls that go over the network, repetitions included, by the calling module and the code of the answer.",
			Buckets: rpc.CallBuckets,
		}, []string{"module", "rpc_service", "rpc_method", "rpc_response_status_code"}),
		attempts:  counter("cleave_client_attempts_total", "Attempts to call a service over the network, the first of each call too."),
		declined:  counter("cleave_client_retries_refused_total", "Repetitions of calls that the retry budget did not allow."),
		full:      counter("cleave_bulkhead_refused_total", "Calls that were not made because too many were under way."),
		breaker:   prometheus.NewDesc("cleave_breaker_state", "State of the circuit breaker of a called service: 0 closed, 1 half-open, 2 open.", labels, nil),
		inUse:     prometheus.NewDesc("cleave_bulkhead_in_use", "Calls and streams of a service that are under way.", labels, nil),
		addresses: prometheus.NewDesc("cleave_peer_addresses", "Addresses that the name of a peer has; 0 until it is first called.", []string{"peer"}, nil),
	}
}

func (m *metrics) register(registry prometheus.Registerer, n *Network) error {
	for _, c := range []prometheus.Collector{m.duration, m.attempts, m.declined, m.full, states{n}} {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// states collects what the sets and peers are in.
type states struct{ *Network }

func (s states) Describe(to chan<- *prometheus.Desc) {
	to <- s.metrics.breaker
	to <- s.metrics.inUse
	to <- s.metrics.addresses
}

func (s states) Collect(to chan<- prometheus.Metric) {
	sets, peers := s.all()
	for _, set := range sets {
		labels := []string{set.caller, set.peer.module, set.service}
		to <- prometheus.MustNewConstMetric(s.metrics.breaker, prometheus.GaugeValue, float64(map[string]int{"closed": 0, "half-open": 1, "open": 2}[set.breaker.State().String()]), labels...)
		to <- prometheus.MustNewConstMetric(s.metrics.inUse, prometheus.GaugeValue, float64(set.inFlight()), labels...)
	}
	for _, peer := range peers {
		to <- prometheus.MustNewConstMetric(s.metrics.addresses, prometheus.GaugeValue, float64(len(peer.spread.names.known())), peer.module)
	}
}

// methods are those of a service that have been called, by procedure.
type methods struct {
	of    func(name string) *method
	known sync.Map
}

func (m *methods) get(procedure string) *method {
	if known, ok := m.known.Load(procedure); ok {
		return known.(*method)
	}
	made, _ := m.known.LoadOrStore(procedure, m.of(procedure[strings.LastIndexByte(procedure, '/')+1:]))
	return made.(*method)
}

// method observes how long calls of a method take.
type method struct {
	ok    prometheus.Observer
	other func(code string) prometheus.Observer
}

func (m *metrics) method(caller, service, name string) *method {
	of := func(code string) prometheus.Observer { return m.duration.WithLabelValues(caller, service, name, code) }
	return &method{ok: of("ok"), other: of}
}

// observe observes a call that has ended with a code, or 0.
func (m *method) observe(took time.Duration, code connect.Code) {
	switch {
	case code == 0:
		m.ok.Observe(took.Seconds())
	case code > connect.CodeUnauthenticated: // No code of the protocol: the peer's invention.
		m.other(connect.CodeUnknown.String()).Observe(took.Seconds())
	default:
		m.other(code.String()).Observe(took.Seconds())
	}
}
