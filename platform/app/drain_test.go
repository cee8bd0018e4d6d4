package app

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
)

// balancer hands each connection to a replica that says that it is ready, as what stands before a service does.
type balancer struct {
	net.Listener
	mu       sync.Mutex
	replicas []*balanced
	next     int
	working  sync.WaitGroup
}

type balanced struct {
	*running
	ready atomic.Bool
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{Listener: listener}
	b.working.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			b.working.Go(func() { b.hand(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		b.working.Wait()
	})
	return b
}

// add starts a replica, and looks from then on whether it is ready.
func (b *balancer) add(t *testing.T, p Program) *balanced {
	t.Helper()
	r := &balanced{running: start(t, p)}
	r.ready.Store(true)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	b.working.Go(func() {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		for ctx.Err() == nil {
			response, err := (&http.Client{Transport: transport, Timeout: time.Second}).Get(r.admin + "/readyz")
			r.ready.Store(err == nil && response.StatusCode == http.StatusOK)
			if err == nil {
				response.Body.Close()
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = append(b.replicas, r)
	return r
}

// hand passes on a connection until one side closes it.
func (b *balancer) hand(client net.Conn) {
	defer client.Close()
	replica := b.choose()
	if replica == nil {
		return
	}
	server, err := net.Dial("tcp", strings.TrimPrefix(replica.public, "http://"))
	if err != nil {
		return
	}
	defer server.Close()
	var copying sync.WaitGroup
	copying.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(client, server)
	client.Close()
	copying.Wait()
}

func (b *balancer) choose() *balanced {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.replicas {
		b.next++
		if r := b.replicas[b.next%len(b.replicas)]; r.ready.Load() {
			return r
		}
	}
	return nil
}

// TestRollingRestart holds that no request is lost when one replica after the other is replaced under load, whatever clients speak.
func TestRollingRestart(t *testing.T) {
	configure(t)
	t.Setenv("CLEAVE_DRAIN_DELAY", "1s")
	p := program(t, (&parity{call: func(context.Context) error { return nil }}).module())
	p.Edge = []*rpc.Service{parityv1cleave.ParityService}
	b := newBalancer(t)
	old := []*balanced{b.add(t, p), b.add(t, p)}

	var over atomic.Bool
	var calls atomic.Int64
	var clients sync.WaitGroup
	finish := func() {
		over.Store(true)
		clients.Wait()
	}
	t.Cleanup(finish)
	for i := range 8 {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(i%2 == 0)
		protocols.SetUnencryptedHTTP2(i%2 == 1)
		options := []connect.ClientOption{connect.WithProtoJSON()}
		if i%4 == 1 {
			options = []connect.ClientOption{connect.WithGRPC()}
		}
		transport := &http.Transport{Protocols: protocols}
		t.Cleanup(transport.CloseIdleConnections)
		client := parityv1connect.NewParityServiceClient(&http.Client{Transport: transport}, "http://"+b.Addr().String(), options...)
		clients.Go(func() {
			for !over.Load() {
				if _, err := client.Call(context.Background(), &parityv1.CallRequest{}); err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
				calls.Add(1)
				time.Sleep(time.Millisecond) // Two processors are enough for that.
			}
		})
	}
	answered := func(more int64) {
		t.Helper()
		for want, deadline := calls.Load()+more, time.Now().Add(patience); calls.Load() < want; time.Sleep(time.Millisecond) {
			if t.Failed() || time.Now().After(deadline) {
				t.Fatal("the load stands still")
			}
		}
	}
	for _, r := range old {
		answered(100)
		b.add(t, p)
		r.stop(t)
	}
	answered(100)
	finish()
}
