package job

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

// How sweeps are run.
const (
	// runTimeout ends a run that hangs.
	runTimeout = time.Minute
	// complainEvery is how often an error that repeats is logged.
	complainEvery = time.Minute
	// jitter is how much sooner or later than its interval a sweep is run, so that replicas started together drift apart.
	jitter = 0.2
)

// Every has fn run in this process at Start and then at every interval, give or take a fifth, until Stop. Every replica does so:
// what fn takes on, it must lock or lease in the database, in bounded batches. nudge has it run at once, or once more if it is
// running; it does not wait, may be called at any time, and many nudges are one run.
//
// A run never overlaps another of the same sweep in this process, and its context ends after a minute. An error or a panic is logged,
// at most once a minute while it repeats, and changes nothing else: the next run comes at its time. Every must be called before Start;
// it panics when the interval is not positive or the name is taken.
func (c *Client) Every(name string, interval time.Duration, fn func(context.Context) error) (nudge func()) {
	return c.sweeps.add(name, interval, fn, c.log)
}

// sweep is work that is done again and again.
type sweep struct {
	name     string
	interval time.Duration
	fn       func(context.Context) error
	log      *slog.Logger
	nudged   chan struct{}

	failures   int       // since the last success
	complained bool      // since the last success
	complaint  time.Time // when a failure was logged last
}

func (s *sweep) nudge() {
	select {
	case s.nudged <- struct{}{}:
	default: // One is under way already.
	}
}

// loop runs the sweep until stopping is done.
func (s *sweep) loop(ctx context.Context, stopping <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stopping:
		case <-timer.C:
		case <-s.nudged:
		}
		select {
		case <-stopping:
			return
		default:
		}
		s.run(ctx)
		timer.Reset(time.Duration(float64(s.interval) * (1 - jitter + 2*jitter*rand.Float64())))
	}
}

// run runs the sweep once, and logs how it ended if that is news.
func (s *sweep) run(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	err := s.contained(within)
	switch {
	case err == nil:
		if s.complained {
			s.log.Info("the sweep works again", "sweep", s.name, "failures", s.failures)
		}
		s.failures, s.complained = 0, false
	case ctx.Err() != nil: // What a stop has cut short is no failure.
	default:
		s.failures++
		if now := time.Now(); now.Sub(s.complaint) >= complainEvery {
			s.log.Error("the sweep failed", "sweep", s.name, "error", err, "failures", s.failures)
			s.complaint, s.complained = now, true
		}
	}
}

// contained runs fn and makes an error of its panic.
func (s *sweep) contained(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return s.fn(ctx)
}

// sweeps are started and stopped together.
type sweeps struct {
	all     []*sweep
	stop    func() // begins no run any more
	cancel  func() // ends the running ones
	running sync.WaitGroup
}

func (s *sweeps) add(name string, interval time.Duration, fn func(context.Context) error, log *slog.Logger) (nudge func()) {
	if interval <= 0 {
		panic(fmt.Sprintf("the interval of the sweep %s is %s, not positive", name, interval))
	}
	for _, other := range s.all {
		if other.name == name {
			panic(fmt.Sprintf("there are two sweeps of the name %s", name))
		}
	}
	one := &sweep{name: name, interval: interval, fn: fn, log: log, nudged: make(chan struct{}, 1)}
	s.all = append(s.all, one)
	return one.nudge
}

func (s *sweeps) start(ctx context.Context) {
	ctx, s.cancel = context.WithCancel(ctx)
	stopping, stop := context.WithCancel(ctx)
	s.stop = stop
	for _, one := range s.all {
		s.running.Go(func() { one.loop(ctx, stopping.Done()) })
	}
}

// end begins no run any more.
func (s *sweeps) end() {
	if s.stop != nil {
		s.stop()
	}
}

// wait stops the sweeps and waits for the running ones. When ctx is done it cancels them, and gives them hardStop to end.
func (s *sweeps) wait(ctx context.Context) error {
	if s.stop == nil {
		return nil // They were never started.
	}
	s.stop()
	defer s.cancel()
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	select {
	case <-ended:
		return nil
	case <-time.After(hardStop):
		return fmt.Errorf("a sweep did not end within %s after its context", hardStop)
	}
}
