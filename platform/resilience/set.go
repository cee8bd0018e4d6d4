package resilience

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/rpc"
)

// set are the policies of one caller and one called service.
type set struct {
	network         *Network
	peer            *Peer
	caller, service string

	retry    retrypolicy.RetryPolicy[connect.AnyResponse]
	budget   *budget
	breaker  circuitbreaker.CircuitBreaker[any]
	calls    *places
	streams  *places
	attempts prometheus.Counter
	declined prometheus.Counter // Repetitions that the budget did not allow.
	full     prometheus.Counter
	methods  methods
}

// places are those of a bulkhead.
type places struct {
	bulkhead bulkhead.Bulkhead[any]
	taken    atomic.Int64
}

func newPlaces(most int) *places { return &places{bulkhead: bulkhead.New[any](uint(most))} }

func newSet(n *Network, p *Peer, caller, service string) *set {
	f, labels := n.figures, []string{caller, p.module, service}
	calls := n.config.Calls
	if caller == rpc.EdgeCaller {
		calls *= f.EdgeFactor
	}
	s := &set{
		network: n, peer: p, caller: caller, service: service,
		retry: retrypolicy.NewBuilder[connect.AnyResponse]().
			HandleIf(func(_ connect.AnyResponse, err error) bool { return errors.As(err, new(*repeat)) }).
			WithMaxAttempts(f.Attempts).WithBackoff(f.Backoff, f.MaxBackoff).WithJitterFactor(0.5).ReturnLastFailure().Build(),
		budget: newBudget(f), calls: newPlaces(calls), streams: newPlaces(f.Streams),
		attempts: n.metrics.attempts.WithLabelValues(labels...),
		declined: n.metrics.declined.WithLabelValues(labels...),
		full:     n.metrics.full.WithLabelValues(labels...),
	}
	s.methods = methods{of: func(method string) *method { return n.metrics.method(caller, service, method) }}
	s.breaker = circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(f.FailureRate, f.FailureCalls, f.FailureWindow).
		WithDelay(f.OpenFor).WithJitterFactor(0.25).WithSuccessThreshold(f.Probes).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) { s.turned(e.NewState) }).Build()
	return s
}

// turned tells the operator what the breaker does now.
func (s *set) turned(state circuitbreaker.State) {
	level := slog.LevelInfo
	if state == circuitbreaker.OpenState {
		level = slog.LevelWarn
	}
	s.network.config.Log.Log(context.Background(), level, "breaker is "+state.String(), "module", s.caller, "target", s.peer.module, "service", s.service)
}

// enter lets a call through to the network, or says why not. What it lets through ends with leave.
func (s *set) enter(ctx context.Context, p *places) error {
	if err := p.bulkhead.AcquirePermitWithMaxWait(ctx, s.network.figures.Wait); err != nil {
		if !errors.Is(err, bulkhead.ErrFull) { // The time is up; or the caller has gone, who is told nothing.
			return &refused{connect.NewWireError(connect.CodeDeadlineExceeded, context.DeadlineExceeded)}
		}
		s.full.Inc()
		return s.refusal("too many calls wait for it")
	}
	if !s.asks(p) {
		p.bulkhead.ReleasePermit()
		return s.refusal("it did not answer lately, and is asked again in a moment")
	}
	p.taken.Add(1)
	s.attempts.Inc()
	return nil
}

// asks reports whether the breaker lets a call through. A stream is no probe: it may have nothing to say for as long as it lasts, and
// would keep the place of a call that tells at once. So it only waits until the breaker is not open.
func (s *set) asks(p *places) bool {
	if p == s.streams {
		return s.breaker.RemainingDelay() == 0
	}
	return s.breaker.TryAcquirePermit()
}

// leave ends what enter let through.
func (s *set) leave(p *places, v verdict) {
	s.record(p, v)
	p.release()
}

func (p *places) release() {
	p.taken.Add(-1)
	p.bulkhead.ReleasePermit()
}

// record tells the breaker what became of a call. A stream takes the place of a probe when it has something to say, if one is free.
func (s *set) record(p *places, v verdict) {
	if p == s.streams && (v == unsaid || !s.breaker.TryAcquirePermit()) {
		return
	}
	switch {
	case v == answered:
		s.breaker.RecordSuccess()
	case v == failed, !s.breaker.IsClosed():
		// A probe that says nothing must be recorded, too, or its place would never be free again.
		s.breaker.RecordFailure()
	}
}

// refusal is what a caller is told whose call is not made. It counts for one that the peer would have sent: the seam passes it on.
func (s *set) refusal(why string) error {
	return &refused{connect.NewWireError(connect.CodeUnavailable, fmt.Errorf("%s is unavailable: %s", s.peer.module, why))}
}

// refused is an error of the set's own, which is no reason to try again: it would be refused again.
type refused struct{ error }

func (r *refused) Unwrap() error { return r.error }

// repeat is an error after which the call is made again.
type repeat struct{ error }

func (r *repeat) Unwrap() error { return r.error }

// mayRepeat takes a repetition from the budget.
func (s *set) mayRepeat() bool {
	if s.budget.take() {
		return true
	}
	s.declined.Inc()
	return false
}

// until returns when a call has to be over, of its caller.
func (s *set) until(ctx context.Context) time.Time {
	if deadline, ok := ctx.Deadline(); ok {
		return deadline
	}
	return time.Now().Add(s.network.config.Timeout)
}
