package event_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Of two replicas of a publisher one at a time delivers, whichever of the two an event was published in.
func TestReplicas(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	var mu sync.Mutex
	delivered := map[string]int{}
	count := func(method *rpc.Method, next rpc.Next) rpc.Next {
		return func(ctx context.Context, request proto.Message) (proto.Message, error) {
			if r, ok := request.(*eventv1.DeliverRequest); ok {
				mu.Lock()
				for _, e := range r.GetEvents() {
					delivered[e.GetId()]++
				}
				mu.Unlock()
			}
			return next(ctx, request)
		}
	}
	v.start(t, "beta", &listener{from: event.Beginning, intercept: []rpc.Interceptor{count}})
	replicas := []*toy{v.start(t, "alpha", nil), v.start(t, "alpha", nil)}
	v.subscribed(t, "beta")
	const each = 100
	var publishing sync.WaitGroup
	for _, replica := range replicas {
		publishing.Go(func() {
			for i := range each {
				if err := replica.publish(t.Context(), "sub", int64(i), "text"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishing.Wait()
	v.eventually(t, func() bool { return len(v.heard(t, "beta")) == 2*each }, func() string { return "all is heard" })
	mu.Lock()
	defer mu.Unlock()
	for id, times := range delivered {
		if times > 1 {
			t.Errorf("%s was delivered %d times", id, times)
		}
	}
}

// When the process that delivers dies another one takes over, and what the dead one may still do moves nothing.
func TestLease(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	v.start(t, "beta", &listener{from: event.Beginning})
	subscription := v.subscribed(t, "beta")
	move, err := alpha.TakeLease(t.Context(), subscription)
	if err != nil || move == nil {
		t.Fatalf("the lease is not free: %v", err)
	}
	alpha.mustPublish(t, "sub_1", 1, "one")
	if other, err := alpha.TakeLease(t.Context(), subscription); err != nil || other != nil {
		t.Errorf("a lease that is held was taken (%v)", err)
	}
	v.exec(t, "UPDATE alpha.cleave_subscriber SET lease_until = now()") // Time passes.
	v.hears(t, "beta", "one")
	if err := move(t.Context()); !errors.Is(err, event.ErrLost) {
		t.Errorf("who has lost the lease moves the cursor: %v", err)
	}
	alpha.mustPublish(t, "sub_1", 2, "two")
	v.hears(t, "beta", "one", "two")
}

// A delivery that takes its time keeps its lease, and is not begun by another replica beside it.
func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	var calls atomic.Int64
	release := make(chan struct{})
	slow := func(_ *rpc.Method, next rpc.Next) rpc.Next {
		return func(ctx context.Context, request proto.Message) (proto.Message, error) {
			calls.Add(1)
			<-release
			return next(ctx, request)
		}
	}
	v.start(t, "beta", &listener{from: event.Beginning, intercept: []rpc.Interceptor{slow}})
	alpha := v.start(t, "alpha", nil)
	v.start(t, "alpha", nil)
	v.subscribed(t, "beta")
	alpha.mustPublish(t, "sub_1", 1, "one")
	var first time.Time
	v.eventually(t, func() bool {
		until := query[time.Time](t, v, "SELECT lease_until FROM alpha.cleave_subscriber WHERE lease_until IS NOT NULL")
		if len(until) > 0 && first.IsZero() {
			first = until[0]
		}
		return len(until) > 0 && until[0].After(first)
	}, func() string { return "the lease is renewed" })
	close(release)
	v.hears(t, "beta", "one")
	if calls.Load() != 1 {
		t.Errorf("the event was delivered %d times", calls.Load())
	}
}

// While another process delivers, one that publishes does not read the log again with each event.
func TestLeasedIsQuiet(t *testing.T) {
	t.Parallel()
	v := newVillage(t)
	alpha := v.start(t, "alpha", nil)
	v.start(t, "beta", &listener{from: event.Beginning})
	v.subscribed(t, "beta")
	v.exec(t, "UPDATE alpha.cleave_subscriber SET lease_owner = 'other', lease_until = now() + interval '1 hour'")
	const events = 300
	for i := range events {
		alpha.mustPublish(t, "sub_1", int64(i+1), "text")
	}
	v.eventually(t, func() bool { return alpha.Attempts("beta") > 3 }, func() string { return "the lease was asked for" })
	if n := alpha.Attempts("beta"); n > events/3 {
		t.Errorf("while %d events were published the lease was asked for %d times in a row", events, n)
	}
	v.exec(t, "UPDATE alpha.cleave_subscriber SET lease_owner = NULL, lease_until = NULL")
	v.eventually(t, func() bool { return len(v.heard(t, "beta")) == events }, func() string { return "all is heard" })
}
