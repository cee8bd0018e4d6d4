package resilience_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/resilience"
	"github.com/cleave-go/cleave/platform/rpc"
)

var (
	errAway     = rpc.Errorf(connect.CodeUnavailable, "", "away")
	errBusiness = rpc.Errorf(connect.CodeFailedPrecondition, "SOLD_OUT", "sold out")
)

func always(err error) func(context.Context) error { return func(context.Context) error { return err } }

// never has the breaker stay closed.
func never(_ *resilience.Config, f *resilience.Figures) { f.FailureCalls = 1_000_000 }

func wantCode(t *testing.T, err error, code connect.Code) {
	t.Helper()
	if got := connect.CodeOf(err); err == nil || got != code {
		t.Errorf("%v, want %s", err, code)
	}
}

func TestOnlySafeCallsAreRepeated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer error
		call   func(*bundle, context.Context) error
		want   int64
	}{
		{"safe and unavailable", errAway, func(b *bundle, ctx context.Context) error { return b.look(ctx) }, 3},
		{"not known to be safe", errAway, func(b *bundle, ctx context.Context) error { return b.anyone(ctx) }, 1},
		{"refused by the module", errBusiness, func(b *bundle, ctx context.Context) error { return b.look(ctx) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, never)
			b.callee.is(always(c.answer))
			wantCode(t, c.call(b, t.Context()), connect.CodeOf(c.answer))
			if got := b.callee.calls.Load(); got != c.want {
				t.Errorf("the callee was called %d times, want %d", got, c.want)
			}
			if got := b.metric(t, "cleave_client_attempts_total"); got != float64(c.want) {
				t.Errorf("%v attempts are counted", got)
			}
			if got := b.metric(t, "rpc_client_call_duration_seconds"); got != 1 {
				t.Errorf("%v calls are observed", got)
			}
		})
	}
	t.Run("until it is there", func(t *testing.T) {
		t.Parallel()
		b := setup(t, never)
		b.callee.is(func(context.Context) error {
			if b.callee.calls.Load() < 3 {
				return errAway
			}
			return nil
		})
		if err := b.look(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// However broken a peer is, it is not called much more often than there are calls.
func TestNoRetryStorm(t *testing.T) {
	t.Parallel()
	b := setup(t, never)
	b.callee.is(always(errAway))
	const calls = 500
	var waiting sync.WaitGroup
	for range 10 {
		waiting.Go(func() {
			for range calls / 10 {
				wantCode(t, b.look(t.Context()), connect.CodeUnavailable)
			}
		})
	}
	waiting.Wait()
	attempts := b.metric(t, "cleave_client_attempts_total")
	if attempts != float64(b.callee.calls.Load()) || attempts > 1.2*calls || attempts <= calls {
		t.Errorf("%v attempts are counted and %d arrived for %d calls", attempts, b.callee.calls.Load(), calls)
	}
	if b.metric(t, "cleave_client_retries_refused_total") == 0 {
		t.Error("no repetition was refused")
	}
}

// soon opens and half-opens the breaker quickly.
func soon(_ *resilience.Config, f *resilience.Figures) {
	f.FailureCalls, f.OpenFor, f.Attempts = 10, 50*time.Millisecond, 1
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	state := func(t *testing.T, b *bundle) string {
		t.Helper()
		w := httptest.NewRecorder()
		b.network.ServeHTTP(w, httptest.NewRequest("GET", "/peers", nil))
		var list []struct {
			Module, Target, Service, Breaker string
			Policy                           struct{ Timeout string }
			Addresses                        []struct{ Up bool }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		for _, peer := range list {
			if peer.Service == "cleave.platform.parity.v1.ParityService" {
				if peer.Module != "caller" || peer.Target != "parity" || peer.Policy.Timeout == "" || len(peer.Addresses) != 1 {
					t.Errorf("the operator is told %+v", peer)
				}
				return peer.Breaker
			}
		}
		t.Fatalf("the operator is told %s", w.Body)
		return ""
	}
	t.Run("opens, probes and closes", func(t *testing.T) {
		t.Parallel()
		b := setup(t, soon)
		b.kill()
		for range 10 {
			wantCode(t, b.look(t.Context()), connect.CodeUnavailable)
		}
		if got := state(t, b); got != "open" || b.metric(t, "cleave_breaker_state") != 2 {
			t.Fatalf("the breaker is %s", got)
		}
		err := b.look(t.Context())
		wantCode(t, err, connect.CodeUnavailable)
		if err == nil || !strings.Contains(err.Error(), "did not answer lately") {
			t.Errorf("%v, and it was asked", err)
		}
		if err := b.anyone(t.Context()); err == nil || strings.Contains(err.Error(), "lately") {
			t.Errorf("another service: %v", err)
		}
		b.revive()
		eventually(t, "the breaker is closed", func() bool {
			_ = b.look(t.Context())
			return state(t, b) == "closed"
		})
		if err := b.look(t.Context()); err != nil {
			t.Error(err)
		}
	})
	// Those who watch something come again first when a module is back, and may hear nothing for long.
	t.Run("closes while streams are silent", func(t *testing.T) {
		t.Parallel()
		b := setup(t, soon)
		b.kill()
		for range 10 {
			wantCode(t, b.look(t.Context()), connect.CodeUnavailable)
		}
		b.revive()
		streams(t, b.callee, b.parity)
		eventually(t, "the breaker is closed", func() bool {
			_ = b.look(t.Context())
			return state(t, b) == "closed"
		})
	})
	t.Run("closes for streams", func(t *testing.T) {
		t.Parallel()
		b := setup(t, soon)
		b.kill()
		for range 10 {
			wantCode(t, b.look(t.Context()), connect.CodeUnavailable)
		}
		b.callee.watch = func(_ context.Context, send func() error) error { return send() }
		b.revive()
		eventually(t, "the breaker is closed", func() bool {
			if stream, err := b.parity.Watch(t.Context(), &parityv1.WatchRequest{}); err == nil {
				stream.Receive()
				stream.Close()
			}
			return state(t, b) == "closed"
		})
	})
	// A module that cannot go on without another is there, with all else that it does.
	for _, said := range []error{errBusiness, errAway} {
		t.Run("stays closed for what a module says: "+connect.CodeOf(said).String(), func(t *testing.T) {
			t.Parallel()
			b := setup(t, soon)
			b.callee.is(always(said))
			for range 30 {
				wantCode(t, b.look(t.Context()), connect.CodeOf(said))
			}
			if got := state(t, b); got != "closed" {
				t.Errorf("the breaker is %s", got)
			}
		})
	}
	// Anybody could take a module away from everybody otherwise.
	t.Run("stays closed for those who do not wait", func(t *testing.T) {
		t.Parallel()
		b := setup(t, soon)
		b.callee.is(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		for range 30 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
			wantCode(t, b.look(ctx), connect.CodeDeadlineExceeded)
			cancel()
		}
		if got := state(t, b); got != "closed" {
			t.Errorf("the breaker is %s", got)
		}
	})
	t.Run("opens for what does not answer in time", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(c *resilience.Config, f *resilience.Figures) {
			soon(c, f)
			f.Patience = time.Millisecond
		})
		release := make(chan struct{})
		defer close(release)
		b.callee.is(func(context.Context) error {
			<-release
			return nil
		})
		for range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			wantCode(t, b.look(ctx), connect.CodeDeadlineExceeded)
			cancel()
		}
		if got := state(t, b); got != "open" {
			t.Errorf("the breaker is %s", got)
		}
	})
}

// streams opens as many silent streams as a breaker has probes, until the end of the test.
func streams(t *testing.T, c *callee, client parityv1connect.ParityServiceClient) {
	t.Helper()
	const number = 3
	began := make(chan struct{}, number)
	c.watch = func(ctx context.Context, _ func() error) error {
		began <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		waiting.Wait()
	})
	for range number {
		waiting.Go(func() {
			for ctx.Err() == nil { // It comes again when it is refused.
				if stream, err := client.Watch(ctx, &parityv1.WatchRequest{}); err == nil {
					stream.Receive()
					stream.Close()
				}
			}
		})
	}
	eventually(t, "the streams are open", func() bool { return len(began) == number })
}

func TestBulkhead(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *resilience.Config, f *resilience.Figures) { c.Calls, f.Wait, f.Streams = 4, time.Millisecond, 1 })
	release := make(chan struct{})
	b.callee.watch = func(ctx context.Context, send func() error) error {
		if err := send(); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}
	b.callee.is(func(context.Context) error { <-release; return nil })
	var waiting sync.WaitGroup
	for range 4 {
		waiting.Go(func() {
			if err := b.look(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "four calls are under way", func() bool { return b.callee.calls.Load() == 4 })
	err := b.look(t.Context())
	wantCode(t, err, connect.CodeUnavailable)
	if b.callee.calls.Load() != 4 || b.metric(t, "cleave_bulkhead_refused_total") != 1 {
		t.Errorf("the fifth call: %v", err)
	}
	// Streams have places of their own.
	ctx, cancel := context.WithCancel(t.Context())
	watch := func(ctx context.Context) (bool, error) {
		stream, err := b.parity.Watch(ctx, &parityv1.WatchRequest{})
		if err != nil {
			return false, err
		}
		return stream.Receive(), stream.Err()
	}
	if ok, err := watch(ctx); !ok {
		t.Errorf("a stream: %v", err)
	}
	_, err = watch(t.Context())
	wantCode(t, err, connect.CodeUnavailable)
	cancel() // The reader has forgotten to close it.
	close(release)
	waiting.Wait()
	eventually(t, "all places are free", func() bool { return b.metric(t, "cleave_bulkhead_in_use") == 0 })
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *resilience.Config, _ *resilience.Figures) { c.Timeout = 7 * time.Second })
	left := make(chan time.Duration, 1)
	b.callee.is(func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		left <- time.Until(deadline)
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := b.anyone(ctx); err != nil {
		t.Error(err)
	}
	if got := <-left; got > 20*time.Second-50*time.Millisecond || got < 10*time.Second {
		t.Errorf("an only attempt has %v of 20 s", got)
	}
	if err := b.look(ctx); err != nil {
		t.Error(err)
	}
	if got := <-left; got > 14*time.Second || got < 5*time.Second {
		t.Errorf("the first of several attempts has %v of 20 s", got)
	}
	if err := b.anyone(context.WithoutCancel(t.Context())); err != nil {
		t.Error(err)
	}
	if got := <-left; got > 7*time.Second {
		t.Errorf("a call whose caller sets no end has %v", got)
	}
}

// eventually waits until something holds that nobody tells of.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}
