package auth

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func newKeyFailures() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "cleave_oidc_keys_failures_total", Help: "How often the keys of the issuer of access tokens could not be fetched.",
	})
}

// Metrics returns what is known of the issuer's keys, for the registry of the process.
func (v *Verifier) Metrics() []prometheus.Collector {
	return []prometheus.Collector{v.keys.failures, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cleave_oidc_keys_age_seconds", Help: "How long ago the keys of the issuer of access tokens were fetched, or the process began to try.",
	}, v.keys.age)}
}

// age returns for how many seconds there has been nothing newer.
func (k *keyring) age() float64 {
	since := k.born
	if set := k.current.Load(); set != nil {
		since = set.fetched
	}
	return time.Since(since).Seconds()
}
