package module

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Fallback says that a module can do without a service that it calls, in some of what it does.
type Fallback struct {
	// Service is one of those that the module calls.
	Service *rpc.Service
	// Does is what the module does without it, in a sentence for the map of the house.
	Does string
}

// optionalTimeout bounds how long the module waits for a service that it can do without: what a customer bears, and long enough for the
// breaker to count it (platform/resilience).
const optionalTimeout = 2 * time.Second

// Fallbacks are those of a module while it works. What it takes from them is what it declares, no more and no less.
type Fallbacks struct {
	module   Module
	taken    []string
	answered *prometheus.CounterVec
	err      error
}

// NewFallbacks is for the host: it returns the fallbacks of a module that is about to be built.
func NewFallbacks(m Module) *Fallbacks {
	return &Fallbacks{module: m, answered: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cleave_fallbacks_total", Help: "Answers that a module has given without a service that it can do without.",
	}, []string{"service"})}
}

// Metrics returns what is counted, for a registry that adds the name of the module.
func (f *Fallbacks) Metrics() prometheus.Collector { return f.answered }

// For returns what calls of a service are made with that the module can do without. It is for Build.
func (f *Fallbacks) For(service *rpc.Service) *Optional {
	if !slices.ContainsFunc(f.module.Fallbacks, func(d Fallback) bool { return d.Service.Name == service.Name }) {
		f.err = errors.Join(f.err, fmt.Errorf("module %s does without %s but does not declare it: add it to Fallbacks in its module.go", f.module.Name, service.Name))
	}
	f.taken = append(f.taken, service.Name)
	return &Optional{f.answered.WithLabelValues(service.Name)}
}

// Check says how what the module has taken differs from what it declares.
func (f *Fallbacks) Check() error {
	err := f.err
	for _, d := range f.module.Fallbacks {
		if !slices.ContainsFunc(f.module.Calls, func(s *rpc.Service) bool { return s.Name == d.Service.Name }) || !slices.Contains(f.taken, d.Service.Name) {
			err = errors.Join(err, fmt.Errorf("module %s declares that it can do without %s, which it does not call, or never does without: remove it from Fallbacks in its module.go", f.module.Name, d.Service.Name))
		}
	}
	return err
}

// Optional is a service that a module can do without.
type Optional struct{ used prometheus.Counter }

// Ask has call ask the service, with a context that ends soon. It reports whether there was an answer, which may be an error. There was
// none if the service is away, too slow, or has too much to do: then the module does what it does without.
func (o *Optional) Ask(ctx context.Context, call func(context.Context) error) (answered bool, err error) {
	asking, cancel := context.WithTimeout(ctx, optionalTimeout)
	defer cancel()
	err = call(asking)
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted:
		if err != nil && ctx.Err() == nil {
			o.used.Inc()
			return false, nil
		}
	}
	return true, err
}
