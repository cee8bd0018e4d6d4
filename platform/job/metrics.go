package job

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
)

func newWorked() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cleave_job_worked_total", Help: "Jobs of the module that this process has worked, by how that ended; one that is tried again counts each time.",
	}, []string{"kind", "outcome"})
}

// Metrics returns what is counted here, for the registry of the process.
func (c *Client) Metrics() []prometheus.Collector { return []prometheus.Collector{c.worked} }

var errPanicked = errors.New("panic")

// counted returns what counts the jobs of a kind by the error of their worker. A job that waits for something is put off, and not counted.
func (c *Client) counted(kind string) func(error) {
	ok, failed := c.worked.WithLabelValues(kind, "ok"), c.worked.WithLabelValues(kind, "failed")
	return func(err error) {
		switch {
		case err == nil:
			ok.Inc()
		case !putOff(err):
			failed.Inc()
		}
	}
}

// putOff reports whether a worker has put its job off, which waits for something and has not failed.
func putOff(err error) bool {
	var later *river.JobSnoozeError
	return errors.As(err, &later)
}
