package edge_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

// TestManyStreams holds that one client cannot have all streams, nor all clients more than there are, and that nobody else is the
// worse for it.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		for _, far := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, far: %v", p.name, far), func(t *testing.T) {
				t.Parallel()
				d := newDoorWith(t, far, func(c *edge.Config, l *edge.Limits) {
					l.ClientStreams, l.Streams = 5, 7
					c.Authenticate = func(r *http.Request) (rpc.Principal, error) {
						return rpc.Principal{Subject: r.Header.Get("Authorization")}, nil
					}
				})
				d.watch, d.call = open, fine
				watch := func(subject string) (*connect.ServerStreamForClient[parityv1.WatchResponse], error) {
					ctx, info := connect.NewClientContext(limited(t))
					info.RequestHeader().Set("Authorization", subject)
					stream, err := p.client(t, d.url).Watch(ctx, &parityv1.WatchRequest{})
					if err != nil {
						return nil, err
					}
					if !stream.Receive() {
						return nil, errors.Join(stream.Err(), stream.Close())
					}
					t.Cleanup(func() { stream.Close() })
					return stream, nil
				}
				var first *connect.ServerStreamForClient[parityv1.WatchResponse]
				for i := range 20 {
					stream, err := watch("one")
					if i < 5 && err != nil {
						t.Fatal(err)
					}
					if i >= 5 {
						require(t, err, connect.CodeResourceExhausted, "at most 5 streams at once: wait for one to end")
					}
					if i == 0 {
						first = stream
					}
				}
				for range 2 {
					if _, err := watch("another"); err != nil {
						t.Fatal(err)
					}
				}
				_, err := watch("another")
				require(t, err, connect.CodeUnavailable, "too much is going on here: call again")
				if _, err := p.client(t, d.url).Call(limited(t), &parityv1.CallRequest{}); err != nil {
					t.Errorf("a call beside the streams: %v", err)
				}
				if !first.Receive() { // The second item.
					t.Errorf("a stream ended: %v", first.Err())
				}
				first.Close()
				for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
					if _, err = watch("one"); err == nil {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("the slot of a stream that ended is not free: %v", err)
					}
				}
			})
		}
	}
}

// TestManyRequests holds that a process that has enough to do says so at once, whatever it is asked.
func TestManyRequests(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d *door, p protocol) {
		d = newDoorWith(t, d.module != nil, func(_ *edge.Config, l *edge.Limits) { l.Requests = 3 })
		began, finish := make(chan struct{}), make(chan struct{})
		d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			began <- struct{}{}
			<-finish
			return &parityv1.CallResponse{}, nil
		}
		client := p.client(t, d.url)
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				if _, err := client.Call(limited(t), &parityv1.CallRequest{}); err != nil {
					t.Errorf("a call that was let in: %v", err)
				}
			})
			<-began
		}
		ctx, info := connect.NewClientContext(limited(t))
		_, err := client.Call(ctx, &parityv1.CallRequest{})
		require(t, err, connect.CodeUnavailable, "too much is going on here: call again")
		if after := info.ResponseHeader().Get("Retry-After"); after != "1" {
			t.Errorf("the answer has Retry-After %q", after)
		}
		close(finish)
		calls.Wait()
	})
}

// TestManyBytes holds that bodies do not take more memory together than there is for them.
func TestManyBytes(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(_ *edge.Config, l *edge.Limits) { l.HeldBytes = 1 << 20 })
	began, finish := make(chan struct{}), make(chan struct{})
	d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		began <- struct{}{}
		<-finish
		return &parityv1.CallResponse{}, nil
	}
	large := &parityv1.CallRequest{Payload: &parityv1.Payload{Text: strings.Repeat("x", 600<<10)}}
	client := protocols[1].client(t, d.url)
	called := make(chan error, 2)
	call := func() {
		_, err := client.Call(limited(t), large)
		called <- err
	}
	go call()
	<-began
	_, err := client.Call(limited(t), large)
	require(t, err, connect.CodeUnavailable, "too much is going on here: call again")
	close(finish)
	if err := <-called; err != nil {
		t.Error(err)
	}
	idle(t, d)
	go call()
	<-began
	if err := <-called; err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

// TestManyFoldedBytes holds that what is small only because it is compressed counts as what it may become.
func TestManyFoldedBytes(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(_ *edge.Config, l *edge.Limits) { l.HeldBytes = rpc.MaxMessageBytes + 1<<20 })
	began, finish := make(chan struct{}), make(chan struct{})
	d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		began <- struct{}{}
		<-finish
		return &parityv1.CallResponse{}, nil
	}
	folded := parityv1connect.NewParityServiceClient(http.DefaultClient, d.url, connect.WithSendGzip())
	large := &parityv1.CallRequest{Payload: &parityv1.Payload{Text: strings.Repeat("x", 3<<20)}}
	called := make(chan error, 1)
	go func() {
		_, err := folded.Call(limited(t), large)
		called <- err
	}()
	<-began
	_, err := folded.Call(limited(t), large)
	require(t, err, connect.CodeUnavailable, "too much is going on here: call again")
	close(finish)
	if err := <-called; err != nil {
		t.Error(err)
	}
	idle(t, d)
}

// TestManyConnections holds that one address cannot have all connections.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(_ *edge.Config, l *edge.Limits) { l.ClientConnections = 3 })
	d.call = fine
	ask := func(conn net.Conn) error {
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	var conns []net.Conn
	for range 3 {
		conns = append(conns, dial(t, d))
		if err := ask(conns[len(conns)-1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(dial(t, d)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a connection too many was not closed: %v", err)
	}
	conns[0].Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := ask(dial(t, d))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the place of a connection that was closed is not free: %v", err)
		}
	}
	if err := ask(conns[1]); err != nil {
		t.Errorf("a connection that was there: %v", err)
	}
}
