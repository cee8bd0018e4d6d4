package paritytest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
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

// patience is after how long a case that hangs fails. No case that passes waits for it.
const patience = 30 * time.Second

// Pair is a caller and a callee, joined by one way to call.
type Pair struct {
	Way Way
	// Context ends with the test. It has a deadline, so that a case that hangs fails.
	Context context.Context
	// Client calls as the module "caller".
	Client parityv1connect.ParityServiceClient
	// Nested calls as the module that is called, "parity".
	Nested parityv1connect.ParityServiceClient
	// Access calls the methods with rules as the module "caller".
	Access parityv1connect.AccessServiceClient
	// Directory knows the callee, for a case that makes clients of its own.
	Directory *rpc.Directory
	// Server runs the callee.
	Server *rpc.Server

	callee callee
	log    lockedBuffer

	mu    sync.Mutex
	notes []string
}

// newPair joins a caller and a callee. The callee is there from the beginning, unless the case says that it is not.
func newPair(t *testing.T, way Way, c Case) *Pair {
	t.Helper()
	p := &Pair{Way: way}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	p.Context = ctx

	server, err := rpc.NewServer(slog.New(slog.NewJSONHandler(&p.log, nil)), c.Interceptors...)
	if err != nil {
		t.Fatal(err)
	}
	p.Server = server
	if !c.NotServed {
		p.Handle(t)
	}
	if way.Local {
		p.Directory = rpc.NewDirectory(server, []string{"parity", "left", "right", "nowhere"}, nil)
	} else {
		peer := way.Serve(t, server)
		p.Directory = rpc.NewDirectory(server, nil, func(string) rpc.Peer { return peer })
	}
	p.Client = p.client(t, "caller")
	p.Access = parityv1cleave.NewAccessServiceClient(p.Directory.Caller("caller", []*rpc.Service{parityv1cleave.AccessService}))
	p.Nested = p.client(t, "parity")
	return p
}

// Handle adds the callee to its server, in a case that says it is not there from the beginning.
func (p *Pair) Handle(t *testing.T) {
	t.Helper()
	for _, handler := range []rpc.Handler{parityv1cleave.NewParityServiceHandler(&p.callee), parityv1cleave.NewAccessServiceHandler(guarded{p: p})} {
		if err := p.Server.Handle(handler); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *Pair) client(t *testing.T, module string) parityv1connect.ParityServiceClient {
	t.Helper()
	caller := p.Directory.Caller(module, []*rpc.Service{parityv1cleave.ParityService})
	client := parityv1cleave.NewParityServiceClient(caller)
	if err := caller.Err(); err != nil {
		t.Fatal(err)
	}
	return client
}

// Note records something that a side saw, for the comparison.
func (p *Pair) Note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

func (p *Pair) noted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.notes...)
}

// Log returns what the callee's side has logged so far: a line of JSON for each record.
func (p *Pair) Log() string { return p.log.String() }

// OnCall says what the callee does when Call is called.
func (p *Pair) OnCall(do func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error)) {
	p.callee.call.Store(&do)
}

// OnWatch says what the callee does when Watch is called.
func (p *Pair) OnWatch(do func(context.Context, *parityv1.WatchRequest, *connect.ServerStream[parityv1.WatchResponse]) error) {
	p.callee.watch.Store(&do)
}

// Call calls Call and returns what the caller saw.
func (p *Pair) Call(ctx context.Context, request *parityv1.CallRequest) Seen {
	response, err := p.Client.Call(ctx, request)
	seen := SeenError(err)
	if response != nil {
		seen.Response = response
	}
	return seen
}

// Watch calls Watch, reads the stream to its end, and returns what the caller saw.
func (p *Pair) Watch(ctx context.Context, request *parityv1.WatchRequest) Seen {
	stream, err := p.Client.Watch(ctx, request)
	if err != nil {
		return SeenError(err)
	}
	var items []*parityv1.WatchResponse
	for stream.Receive() {
		items = append(items, stream.Msg())
	}
	seen := SeenError(stream.Err())
	seen.Items = items
	_ = stream.Close()
	return seen
}

// callee is the service under test. It does what the case says.
type callee struct {
	parityv1connect.UnimplementedParityServiceHandler
	call  atomic.Pointer[func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error)]
	watch atomic.Pointer[func(context.Context, *parityv1.WatchRequest, *connect.ServerStream[parityv1.WatchResponse]) error]
}

func (c *callee) Call(ctx context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	if do := c.call.Load(); do != nil {
		return (*do)(ctx, request)
	}
	return c.UnimplementedParityServiceHandler.Call(ctx, request)
}

func (c *callee) Watch(
	ctx context.Context, request *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse],
) error {
	if do := c.watch.Load(); do != nil {
		return (*do)(ctx, request, stream)
	}
	return c.UnimplementedParityServiceHandler.Watch(ctx, request, stream)
}

// lockedBuffer is a log that is written and read at once.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
