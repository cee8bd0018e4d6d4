package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/cleave-go/cleave/platform/health"
	"github.com/cleave-go/cleave/platform/mtls"
)

// newMetrics returns the metrics of the process, to which its parts add theirs. docs/guides/metrics.md lists them.
func newMetrics(h *health.Health) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cleave_ready", Help: "1 if the process can do its own work, as at /readyz.",
	}, func() float64 { return one(h.Report(context.Background()).Ready) }))
	return registry
}

// measure adds what a module counts itself, and what its database knows.
func (u *unit) measure(m *observed) {
	registry := prometheus.WrapRegistererWith(prometheus.Labels{"module": m.db.Module()}, u.metrics)
	registry.MustRegister(m.jobs.Metrics()...)
	registry.MustRegister(m.events.Metrics()...)
	u.observer.add(m)
}

// observe adds what the databases of the modules know, as they are built.
func (u *unit) observe() {
	if len(u.Modules) > 0 {
		u.observer.budget = float64(u.values.Int("CLEAVE_DATABASE_MAX_CONNS"))
		u.metrics.MustRegister(&u.observer)
	}
}

// measureCertificates adds when the certificates end.
func (u *unit) measureCertificates() {
	for use, source := range map[string]*mtls.Source{"unit": u.certificates.units, "public": u.certificates.public} {
		if source == nil {
			continue
		}
		u.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "cleave_certificate_expiry_timestamp_seconds", ConstLabels: prometheus.Labels{"use": use},
			Help: "When a certificate ends, or the authority that it needs if that ends before: of the unit, or of the public port.",
		}, func() float64 { return float64(source.Expires().Unix()) }))
	}
}

// gauge describes a value that is asked for when somebody looks.
func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}
