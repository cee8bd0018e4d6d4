package edge_test

import (
	"context"
	"encoding/binary"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
)

// open sends two items and waits then.
func open(ctx context.Context, _ *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
	for i := range int32(2) {
		if err := stream.Send(&parityv1.WatchResponse{Index: i}); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// receive begins a stream and receives the two items.
func receive(t *testing.T, d *door, p protocol) *connect.ServerStreamForClient[parityv1.WatchResponse] {
	t.Helper()
	stream, err := p.client(t, d.url).Watch(limited(t), &parityv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	for i := range int32(2) {
		if !stream.Receive() || stream.Msg().GetIndex() != i {
			t.Fatalf("item %d did not come: %v", i, stream.Err())
		}
	}
	return stream
}

// far runs a test for each protocol, with the module in another process.
func far(t *testing.T, test func(t *testing.T, d *door, p protocol)) {
	t.Helper()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			test(t, newDoor(t, true), p)
		})
	}
}

// TestModuleGone holds that a module that is not there is unavailable, and nothing else is said of it.
func TestModuleGone(t *testing.T) {
	t.Parallel()
	far(t, func(t *testing.T, d *door, p protocol) {
		d.module.Close()
		client := p.client(t, d.url)
		_, err := client.Call(limited(t), &parityv1.CallRequest{})
		require(t, err, connect.CodeUnavailable, "parity is unavailable")
		stream, err := client.Watch(limited(t), &parityv1.WatchRequest{})
		if err == nil {
			stream.Receive()
			err = stream.Err()
			stream.Close()
		}
		require(t, err, connect.CodeUnavailable, "parity is unavailable")
	})
}

// TestModuleDies holds that a stream whose module dies in the middle of it ends as unavailable.
func TestModuleDies(t *testing.T) {
	t.Parallel()
	far(t, func(t *testing.T, d *door, p protocol) {
		d.watch = open
		stream := receive(t, d, p)
		d.module.CloseClientConnections()
		if stream.Receive() {
			t.Error("an item came from a dead module")
		}
		require(t, stream.Err(), connect.CodeUnavailable, "parity is unavailable")
	})
}

// TestStop holds that streams end when the edge stops, and calls are answered.
func TestStop(t *testing.T) {
	t.Parallel()
	far(t, func(t *testing.T, d *door, p protocol) {
		begun, answer := make(chan struct{}), make(chan struct{})
		d.watch = open
		d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			close(begun)
			<-answer
			return &parityv1.CallResponse{}, nil
		}
		called := make(chan error, 1)
		client := p.client(t, d.url)
		go func() {
			_, err := client.Call(limited(t), &parityv1.CallRequest{})
			called <- err
		}()
		<-begun
		stream := receive(t, d, p)
		d.stop()
		if stream.Receive() {
			t.Error("an item came after the stop")
		}
		require(t, stream.Err(), connect.CodeUnavailable, "parity is unavailable")
		close(answer)
		if err := <-called; err != nil {
			t.Errorf("a call was cut off: %v", err)
		}
	})
}

// TestDeadlineOfEdge holds that a request that takes longer than the edge allows ends as such, also in the middle of a stream.
func TestDeadlineOfEdge(t *testing.T) {
	t.Parallel()
	far(t, func(t *testing.T, d *door, p protocol) {
		d.watch = open
		d.call = func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		inner := forward(t, d.module.URL)
		d.url = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 300*time.Millisecond)
			defer cancel()
			inner.ServeHTTP(w, r.WithContext(ctx))
		})).URL
		_, err := p.client(t, d.url).Call(limited(t), &parityv1.CallRequest{})
		require(t, err, connect.CodeDeadlineExceeded, "context deadline exceeded")
		stream := receive(t, d, p)
		stream.Receive()
		require(t, stream.Err(), connect.CodeDeadlineExceeded, "context deadline exceeded")
	})
}

// TestHalfMessage holds that a stream that breaks inside a message does not look as if it had ended.
func TestHalfMessage(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			module := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
				w.Write(binary.BigEndian.AppendUint32([]byte{0}, 100))
				w.Write([]byte("half"))
				http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}))
			stream, err := p.client(t, serve(t, forward(t, module.URL)).URL).Watch(limited(t), &parityv1.WatchRequest{})
			if err == nil {
				if stream.Receive() {
					t.Error("half a message was received")
				}
				err = stream.Err()
				stream.Close()
			}
			if err == nil {
				t.Error("the stream ended well")
			}
		})
	}
}
