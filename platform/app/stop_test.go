package app

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

// TestStop holds the order of a stop: not ready first, then streams end, then running calls are answered, then the end.
func TestStop(t *testing.T) {
	configure(t)
	t.Setenv("CLEAVE_DRAIN_DELAY", "100ms")
	begun, answer := make(chan struct{}), make(chan struct{})
	service := &parity{
		call: func(ctx context.Context) error {
			close(begun)
			<-answer
			return ctx.Err()
		},
		watch: func(ctx context.Context, stream *connect.ServerStream[parityv1.WatchResponse]) error {
			if err := stream.Send(&parityv1.WatchResponse{}); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		},
	}
	p := program(t, service.module())
	p.Edge = []*rpc.Service{parityv1cleave.ParityService}
	r := start(t, p)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := parityv1connect.NewParityServiceClient(&http.Client{Transport: transport}, r.public)

	stream, err := client.Watch(t.Context(), &parityv1.WatchRequest{})
	if err != nil || !stream.Receive() {
		t.Fatalf("the stream did not begin: %v, %v", err, stream.Err())
	}
	called := make(chan error, 1)
	go func() {
		_, err := client.Call(t.Context(), &parityv1.CallRequest{})
		called <- err
	}()
	<-begun
	r.stopNow()
	if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnavailable {
		t.Errorf("the stream ended with %v, want unavailable", stream.Err())
	}
	stream.Close()
	if problem := r.health.Report(t.Context()).Problem(); problem != "stopping" {
		t.Errorf("while it stops it says of itself %q", problem)
	}
	select {
	case err := <-r.ended:
		t.Fatalf("it ended with %v while a call was running", err)
	default:
	}
	close(answer)
	if err := <-called; err != nil {
		t.Errorf("the running call failed: %v", err)
	}
}

// A process that stops gives its sagas back at their next step, also while a job keeps it from ending: nobody renews their leases then.
func TestStopGivesSagasBackBeforeJobsEnd(t *testing.T) {
	configure(t)
	m := (&parity{}).module()
	build := m.Build
	var host *module.Host
	var walks *saga.Saga[struct{}]
	walking, working, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	m.Build = func(h *module.Host) ([]rpc.Handler, error) {
		host = h
		var begun, running sync.Once
		d := saga.Definition[struct{}]{Kind: "walk"}
		for i := range 200 { // More than anybody takes until the process has begun to stop.
			d.Steps = append(d.Steps, saga.Step[struct{}]{Name: fmt.Sprint("step ", i), Quiet: true, Do: func(context.Context, *saga.Run[struct{}]) error {
				begun.Do(func() { close(walking) })
				time.Sleep(50 * time.Millisecond)
				return nil
			}})
		}
		walks = saga.Register(h.Sagas, d)
		h.Jobs.Every("long", time.Millisecond, func(context.Context) error {
			running.Do(func() { close(working) })
			<-release
			return nil
		})
		return build(h)
	}
	r := start(t, program(t, m))
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	<-working
	if err := host.DB.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return walks.Start(ctx, tx, "walk_1", struct{}{}) }); err != nil {
		t.Fatal(err)
	}
	<-walking
	r.stopNow()
	var phase string
	for leased, deadline := true, time.Now().Add(patience); leased; time.Sleep(10 * time.Millisecond) {
		if err := host.DB.Pool().QueryRow(t.Context(), "SELECT phase, leased FROM cleave_saga").Scan(&phase, &leased); err != nil || time.Now().After(deadline) {
			t.Fatalf("the saga is not given back: %v", err)
		}
	}
	if phase != "forward" {
		t.Errorf("it is %s: the process drove it to its end though it stops", phase)
	}
	letGo()
	r.stop(t)
}
