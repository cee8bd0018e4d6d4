package app

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
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
	if problem := r.health.problem(t.Context()); problem != "starting or stopping" {
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

// TestReady holds that a process is ready as long as its own database answers.
func TestReady(t *testing.T) {
	configure(t)
	server := postgrestest.Server(t)
	t.Setenv("DATABASE_URL", server.URL())
	r := start(t, program(t, (&parity{}).module()))
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.admin+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var text strings.Builder
	if err := response.Write(&text); err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text.String(), "the database of parity does not answer") {
		t.Errorf("without its database it says %s", text.String())
	}
}
