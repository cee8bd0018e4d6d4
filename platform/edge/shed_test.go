package edge_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

// TestPriority holds that the more is going on the fewer are let in, and those last who matter most.
func TestPriority(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(*edge.Config, *edge.Limits) {})
	began, finish := make(chan struct{}), make(chan struct{})
	d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		began <- struct{}{}
		<-finish
		return &parityv1.CallResponse{}, nil
	}
	server, err := rpc.NewServer(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []rpc.Handler{
		parityv1cleave.NewParityServiceHandler(d), parityv1cleave.NewAccessServiceHandler(parityv1connect.UnimplementedAccessServiceHandler{}),
	} {
		if err := server.Handle(h); err != nil {
			t.Fatal(err)
		}
	}
	url := serve(t, edge.New(edge.Config{
		Services: []*rpc.Service{parityv1cleave.ParityService, prioritized(parityv1cleave.AccessService, map[string]rpc.Priority{"Anyone": rpc.Low, "SignedIn": rpc.High})},
		Route:    func(string) http.Handler { return server }, Busy: 2,
	})).URL
	client, access := parityv1connect.NewParityServiceClient(http.DefaultClient, url), parityv1connect.NewAccessServiceClient(http.DefaultClient, url)
	const (
		in  = connect.CodeUnimplemented // By the module, and not by the door.
		out = connect.CodeResourceExhausted
	)
	look := func(when string, low, high connect.Code) {
		t.Helper()
		ctx, info := connect.NewClientContext(limited(t))
		if _, err := access.Anyone(ctx, &parityv1.AnyoneRequest{}); connect.CodeOf(err) != low {
			t.Errorf("low priority %s: %v, want %s", when, err, low)
		}
		if after := info.ResponseHeader().Get("Retry-After"); low == out && after != "1" {
			t.Errorf("low priority %s: Retry-After is %q", when, after)
		}
		// It is not let in by the module, who has not signed in: the door has no say in that.
		if _, err := access.SignedIn(limited(t), &parityv1.SignedInRequest{}); connect.CodeOf(err) != high {
			t.Errorf("high priority %s: %v, want %s", when, err, high)
		}
	}
	var calls sync.WaitGroup
	call := func() {
		calls.Go(func() {
			if _, err := client.Call(limited(t), &parityv1.CallRequest{}); err != nil {
				t.Errorf("a call that was let in: %v", err)
			}
		})
		<-began
	}
	call()
	look("with little going on", in, connect.CodeUnauthenticated)
	call()
	look("with much going on", out, connect.CodeUnauthenticated)
	call()
	call()
	look("with too much going on", out, connect.CodeUnauthenticated)
	if _, err := client.Call(limited(t), &parityv1.CallRequest{}); connect.CodeOf(err) != out {
		t.Errorf("no priority with too much going on: %v", err)
	}
	close(finish)
	calls.Wait()
	look("afterwards", in, connect.CodeUnauthenticated)
}

// TestSlowBodyIsNoWork holds that nobody is refused because others send their requests slowly.
func TestSlowBodyIsNoWork(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) { c.Busy = 1 })
	d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		return &parityv1.CallResponse{}, nil
	}
	const slow = 4
	for range slow {
		io.WriteString(dial(t, d), "POST "+callPath+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	}
	for deadline := time.Now().Add(patience); d.Open() < slow; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests are under way", d.Open())
		}
	}
	if _, err := parityv1connect.NewParityServiceClient(http.DefaultClient, d.url).Call(limited(t), &parityv1.CallRequest{}); err != nil {
		t.Error(err)
	}
}

// prioritized returns a service whose methods have priorities that its contract does not give them.
func prioritized(s *rpc.Service, priorities map[string]rpc.Priority) *rpc.Service {
	changed := *s
	changed.Methods = nil
	for _, method := range s.Methods {
		m := *method
		m.Priority = priorities[m.Name]
		changed.Methods = append(changed.Methods, &m)
	}
	return &changed
}
