package resilience_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/resilience"
	"github.com/cleave-go/cleave/platform/rpc"
)

// patience is after how long a test that hangs fails. No test that passes waits for it.
const patience = 30 * time.Second

// callee answers as a test says, and counts.
type callee struct {
	calls  atomic.Int64
	answer atomic.Pointer[func(context.Context) error]
	watch  func(ctx context.Context, send func() error) error
}

// is says what the callee does from now on.
func (c *callee) is(answer func(context.Context) error) { c.answer.Store(&answer) }

func (c *callee) do(ctx context.Context) error {
	c.calls.Add(1)
	if answer := c.answer.Load(); answer != nil {
		return (*answer)(ctx)
	}
	return nil
}

// parity and access are the services of a callee.
type (
	parity struct {
		parityv1connect.UnimplementedParityServiceHandler
		*callee
	}
	access struct {
		parityv1connect.UnimplementedAccessServiceHandler
		*callee
	}
)

func (p parity) Look(ctx context.Context, _ *parityv1.LookRequest) (*parityv1.LookResponse, error) {
	return &parityv1.LookResponse{}, p.do(ctx)
}

func (p parity) Call(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	return &parityv1.CallResponse{}, p.do(ctx)
}

func (p parity) Watch(ctx context.Context, _ *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
	return p.watch(ctx, func() error { return stream.Send(&parityv1.WatchResponse{}) })
}

func (a access) Anyone(ctx context.Context, _ *parityv1.AnyoneRequest) (*parityv1.AnyoneResponse, error) {
	return &parityv1.AnyoneResponse{}, a.do(ctx)
}

// bundle is a caller of services at other addresses.
type bundle struct {
	network *resilience.Network
	peer    *resilience.Peer
	// kill ends the callee, and revive has it back at its address.
	kill, revive func()
	registry     *prometheus.Registry
	callee       *callee
	look         func(context.Context) error // Safe.
	anyone       func(context.Context) error // Not known to be.
	parity       parityv1connect.ParityServiceClient
}

// setup returns a caller of a callee that is served at one address.
func setup(t *testing.T, change func(*resilience.Config, *resilience.Figures)) *bundle {
	t.Helper()
	c := new(callee)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := serveAt(t, c, listener)
	b := at(t, c, change, served.url)
	b.kill = served.kill
	b.revive = func() {
		listener, err := net.Listen("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		serveAt(t, c, listener)
	}
	return b
}

// at returns a caller of a callee at some URLs.
func at(t *testing.T, c *callee, change func(*resilience.Config, *resilience.Figures), list string) *bundle {
	t.Helper()
	b := &bundle{registry: prometheus.NewRegistry(), callee: c}
	config := resilience.Config{Timeout: patience, Calls: 100, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Metrics: b.registry}
	network, err := resilience.NewWith(config, func(c *resilience.Config, f *resilience.Figures) {
		f.Backoff, f.MaxBackoff = time.Millisecond, 2*time.Millisecond
		if change != nil {
			change(c, f)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Close)
	b.network = network
	urls, err := resilience.ParseURLs(list)
	if err != nil {
		t.Fatal(err)
	}
	peer := network.Add("parity", urls, transport)
	b.peer = peer
	server, err := rpc.NewServer(config.Log)
	if err != nil {
		t.Fatal(err)
	}
	directory := rpc.NewDirectory(server, nil, func(string) rpc.Peer {
		return rpc.Peer{URL: peer.URL(), Client: &http.Client{Transport: peer.Transport()}, Around: peer.Around}
	})
	caller := directory.Caller("caller", []*rpc.Service{parityv1cleave.ParityService, parityv1cleave.AccessService})
	b.parity = parityv1cleave.NewParityServiceClient(caller)
	access := parityv1cleave.NewAccessServiceClient(caller)
	b.look = func(ctx context.Context) error {
		_, err := b.parity.Look(ctx, &parityv1.LookRequest{})
		return err
	}
	b.anyone = func(ctx context.Context) error {
		_, err := access.Anyone(ctx, &parityv1.AnyoneRequest{})
		return err
	}
	return b
}

func transport(dial resilience.Dial) http.RoundTripper {
	return &http.Transport{Protocols: h2c(), DialContext: dial}
}

func h2c() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}

// replica is a callee at an address.
type replica struct {
	url  string
	kill func()
}

func serveAt(t *testing.T, c *callee, listener net.Listener) replica {
	t.Helper()
	server, err := rpc.NewServer(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []rpc.Handler{
		parityv1cleave.NewParityServiceHandler(parity{callee: c}), parityv1cleave.NewAccessServiceHandler(access{callee: c}),
	} {
		if err := server.Handle(h); err != nil {
			t.Fatal(err)
		}
	}
	host := &http.Server{Handler: server, Protocols: h2c()}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = host.Serve(listener)
	}()
	kill := sync.OnceFunc(func() {
		host.Close()
		<-served
	})
	t.Cleanup(kill)
	return replica{(&url.URL{Scheme: "http", Host: listener.Addr().String()}).String(), kill}
}

// metric returns the sum of a metric over all labels.
func (b *bundle) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		sum := 0.0
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		return sum
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}
