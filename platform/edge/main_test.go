package edge_test

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"go.uber.org/goleak"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is after how long a test that hangs fails.
const patience = 30 * time.Second

// protocol is a way to speak to the public port.
type protocol struct {
	name    string
	http2   bool
	options []connect.ClientOption
}

var protocols = []protocol{
	{name: "Connect JSON", options: []connect.ClientOption{connect.WithProtoJSON()}},
	{name: "Connect", http2: true},
	{name: "gRPC", http2: true, options: []connect.ClientOption{connect.WithGRPC()}},
	{name: "gRPC-Web", options: []connect.ClientOption{connect.WithGRPCWeb()}},
}

// everywhere runs a test for each protocol, with the module in the edge's process and in another.
func everywhere(t *testing.T, test func(t *testing.T, d *door, p protocol)) {
	t.Helper()
	for _, far := range []bool{false, true} {
		for _, p := range protocols {
			name := p.name + ", near"
			if far {
				name = p.name + ", far"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, newDoor(t, far), p)
			})
		}
	}
}

// door is an edge before one module.
type door struct {
	*edge.Edge
	url string
	// module is the process of a far module.
	module *httptest.Server
	// drain begins the end of the edge's process, and stop its stop.
	drain, stop context.CancelFunc

	call   func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error)
	browse func(context.Context, *parityv1.BrowseRequest) (*parityv1.BrowseResponse, error)
	watch  func(context.Context, *parityv1.WatchRequest, *connect.ServerStream[parityv1.WatchResponse]) error
	visit  func(context.Context, *parityv1.VisitRequest) (*parityv1.VisitResponse, error)
	// session says who is signed in, by the hash of a cookie.
	session func(context.Context, *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error)
}

var user = rpc.Principal{Subject: "usr_test", Roles: []string{"customer"}}

// asUser takes every caller for the user.
func asUser(*http.Request) (rpc.Principal, error) { return user, nil }

func newDoor(t *testing.T, far bool) *door {
	t.Helper()
	return newDoorWith(t, far, func(*edge.Config, *edge.Limits) {})
}

// newDoorWith returns a door with other settings and limits.
func newDoorWith(t *testing.T, far bool, change func(*edge.Config, *edge.Limits)) *door {
	t.Helper()
	d := &door{}
	quiet := slog.New(slog.DiscardHandler)
	server, err := rpc.NewServer(quiet)
	if err != nil {
		t.Fatal(err)
	}
	for _, handler := range []rpc.Handler{parityv1cleave.NewParityServiceHandler(d), parityv1cleave.NewPageServiceHandler(d), parityv1cleave.NewBrowserServiceHandler(d)} {
		if err := server.Handle(handler); err != nil {
			t.Fatal(err)
		}
	}
	var handler http.Handler = server
	if far {
		d.module = serve(t, server)
		handler = forward(t, d.module.URL)
	}
	stopping, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	d.stop = stop
	draining, drain := context.WithCancel(context.Background())
	t.Cleanup(drain)
	d.drain = drain
	c := edge.Config{
		Services: []*rpc.Service{parityv1cleave.ParityService, parityv1cleave.PageService, parityv1cleave.BrowserService}, Route: func(string) http.Handler { return handler }, Log: quiet,
		Draining: draining, Stopping: stopping, Authenticate: asUser,
	}
	d.Edge = edge.NewLimited(c, change)
	d.url = serve(t, d.Edge).URL
	return d
}

func (d *door) Call(ctx context.Context, r *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	return d.call(ctx, r)
}

func (d *door) Look(context.Context, *parityv1.LookRequest) (*parityv1.LookResponse, error) {
	return &parityv1.LookResponse{Text: "internal"}, nil
}

func (d *door) Browse(ctx context.Context, r *parityv1.BrowseRequest) (*parityv1.BrowseResponse, error) {
	return d.browse(ctx, r)
}

func (d *door) Watch(ctx context.Context, r *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
	return d.watch(ctx, r, stream)
}

func (d *door) Visit(ctx context.Context, r *parityv1.VisitRequest) (*parityv1.VisitResponse, error) {
	return d.visit(ctx, r)
}

func (d *door) ReadSession(ctx context.Context, r *parityv1.ReadSessionRequest) (*parityv1.ReadSessionResponse, error) {
	return d.session(ctx, r)
}

// serve serves a handler over HTTP/1.1 and h2c.
func serve(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = versions(true, true)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // A test that breaks connections is no news.
	if door, ok := handler.(*edge.Edge); ok {
		door.Bound(server.Config)
		server.Listener = door.Listener(server.Listener)
	}
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// serveTLS serves a handler over TLS.
func serveTLS(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return server
}

// counter counts the connections that it opens.
type counter struct{ n atomic.Int64 }

func (c *counter) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.n.Add(1)
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

// forward leads to a module in another process.
func forward(t *testing.T, target string) http.Handler {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Protocols: versions(false, true)}
	t.Cleanup(transport.CloseIdleConnections)
	return edge.Forward("parity", u, transport, slog.New(slog.DiscardHandler))
}

func versions(http1, http2 bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(http1)
	p.SetUnencryptedHTTP2(http2)
	return p
}

// client returns a client of the door.
func (p protocol) client(t *testing.T, url string) parityv1connect.ParityServiceClient {
	t.Helper()
	transport := &http.Transport{Protocols: versions(!p.http2, p.http2)}
	t.Cleanup(transport.CloseIdleConnections)
	return parityv1connect.NewParityServiceClient(&http.Client{Transport: transport}, url, p.options...)
}

// limited returns a context that ends a test that hangs.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// require requires the code and sentence of an error.
func require(t *testing.T, err error, code connect.Code, message string) {
	t.Helper()
	if connect.CodeOf(err) != code || err.Error() != code.String()+": "+message {
		t.Errorf("got %v, want %v: %s", err, code, message)
	}
}
