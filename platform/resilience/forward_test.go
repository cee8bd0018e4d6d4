package resilience_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/resilience"
	"github.com/cleave-go/cleave/platform/rpc"
)

// door is an edge before replicas.
func door(t *testing.T, change func(*resilience.Config, *resilience.Figures), list string) (*bundle, parityv1connect.ParityServiceClient) {
	t.Helper()
	b := at(t, nil, change, list)
	target, err := url.Parse(b.peer.URL())
	if err != nil {
		t.Fatal(err)
	}
	services := []*rpc.Service{parityv1cleave.ParityService}
	handler := edge.Forward("parity", target, b.peer.Forward(services), slog.New(slog.DiscardHandler))
	server := httptest.NewServer(edge.New(edge.Config{Services: services, Route: func(string) http.Handler { return handler }}))
	t.Cleanup(server.Close)
	return b, parityv1connect.NewParityServiceClient(server.Client(), server.URL)
}

// What the edge hands on goes to all replicas, and nobody notices that one dies.
func TestEdgeAndReplicas(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, "127.0.0.13", "127.0.0.14", "127.0.0.15")
	_, client := door(t, quick(nil), "http://127.0.0.13:"+r.port+",http://127.0.0.14:"+r.port+",http://127.0.0.15:"+r.port)
	call := func(calls int) {
		var waiting sync.WaitGroup
		for range 5 {
			waiting.Go(func() {
				for range calls / 5 {
					if _, err := client.Call(t.Context(), &parityv1.CallRequest{}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		waiting.Wait()
	}
	call(150)
	wantShares(t, r.shares(), 150, "127.0.0.13", "127.0.0.14", "127.0.0.15")
	ends := make(chan struct{})
	go func() {
		defer close(ends)
		call(300)
	}()
	eventually(t, "calls are under way", func() bool { return r.all["127.0.0.14"].calls.Load() > 10 })
	r.kill["127.0.0.14"]()
	<-ends
	r.shares()
	call(100)
	wantShares(t, r.shares(), 100, "127.0.0.13", "127.0.0.15")
}

// A module that is away is refused at once after some time, in the client's protocol.
func TestEdgeBreaker(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, "127.0.0.16")
	r.kill["127.0.0.16"]()
	b, client := door(t, func(c *resilience.Config, f *resilience.Figures) {
		soon(c, f)
		f.OpenFor = time.Minute
	}, "http://127.0.0.16:"+r.port)
	for range 30 {
		_, err := client.Call(context.Background(), &parityv1.CallRequest{})
		wantCode(t, err, connect.CodeUnavailable)
	}
	if attempts := b.metric(t, "cleave_client_attempts_total"); attempts != 10 {
		t.Errorf("%v attempts were made, want 10", attempts)
	}
	if got := b.metric(t, "rpc_client_call_duration_seconds"); got != 30 {
		t.Errorf("%v calls are observed", got)
	}
}

// Streams that the edge hands on, and in which nothing happens for long, do not keep its breaker from closing.
func TestEdgeBreakerAndStreams(t *testing.T) {
	t.Parallel()
	const at = "127.0.0.17"
	r := startReplicas(t, at)
	_, client := door(t, soon, "http://"+at+":"+r.port)
	r.kill[at]()
	for range 10 {
		_, err := client.Call(t.Context(), &parityv1.CallRequest{})
		wantCode(t, err, connect.CodeUnavailable)
	}
	r.add(at)
	streams(t, r.all[at], client)
	eventually(t, "calls are handed on", func() bool {
		_, err := client.Call(t.Context(), &parityv1.CallRequest{})
		return err == nil
	})
}

// A module that has lost one of those behind it answers, and what does not need that one is asked as before.
func TestEdgeBreakerAndAnswers(t *testing.T) {
	t.Parallel()
	const at = "127.0.0.18"
	r := startReplicas(t, at)
	_, client := door(t, soon, "http://"+at+":"+r.port)
	r.all[at].is(always(errAway))
	const calls = 30
	for range calls {
		_, err := client.Call(t.Context(), &parityv1.CallRequest{})
		wantCode(t, err, connect.CodeUnavailable)
	}
	if got := r.all[at].calls.Load(); got != calls {
		t.Errorf("%d of %d calls were handed on", got, calls)
	}
}
