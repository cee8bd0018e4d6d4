package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// Directory knows where each module lives.
type Directory struct {
	server *Server
	log    *slog.Logger
	local  map[string]bool
	peer   func(module string) Peer
	memory *http.Client
}

// Peer is where a module lives that is not in this process.
type Peer struct {
	// URL is the base of its internal port, for instance http://orders:9080.
	URL    string
	Client connect.HTTPClient
	// Options choose a protocol; the default is Connect.
	Options []connect.ClientOption
}

// NewDirectory returns a directory of which the local modules are served by server and all others by the peers that peer names.
func NewDirectory(server *Server, local []string, peer func(module string) Peer) *Directory {
	d := &Directory{server: server, log: server.log, local: map[string]bool{}, peer: peer, memory: &http.Client{Transport: &memoryTransport{server}}}
	for _, module := range local {
		d.local[module] = true
	}
	return d
}

// Caller returns what a module calls others with.
func (d *Directory) Caller(module string, declared []*Service) *Caller {
	c := &Caller{directory: d, module: module, declared: map[string]bool{}}
	for _, service := range declared {
		c.declared[service.Name] = true
	}
	return c
}

// Caller is one module as a caller of others. Generated constructors take it.
type Caller struct {
	directory *Directory
	module    string
	declared  map[string]bool
	err       error
}

// Err tells which clients the module asked for without declaring that it calls the service. The host asks after the module is
// built, and does not start if there are any.
func (c *Caller) Err() error { return c.err }

// NewClient is for generated code: it returns a client of the service for the caller, direct if the service lives in this process
// and over the network otherwise. Streams of a direct client go through the same HTTP handler in memory.
func NewClient[C any](
	from *Caller, service *Service, dial func(connect.HTTPClient, string, ...connect.ClientOption) C, direct func(*Local, C) C,
) C {
	d := from.directory
	side := &clientInterceptor{caller: from, service: service, methods: map[string]*Method{}}
	for _, method := range service.Methods {
		side.methods[method.Procedure] = method
	}
	options := []connect.ClientOption{
		connect.WithInterceptors(side), connect.WithReadMaxBytes(MaxMessageBytes), connect.WithSendMaxBytes(MaxMessageBytes),
	}
	if !from.declared[service.Name] {
		side.broken = fmt.Errorf("module %s calls %s but does not declare it: add it to Calls in its module.go", from.module, service.Name)
		from.err = errors.Join(from.err, side.broken)
	}
	if d.local[service.Module] {
		return direct(&Local{clientInterceptor: side}, dial(d.memory, "http://"+service.Module, options...))
	}
	peer := d.peer(service.Module)
	return dial(peer.Client, peer.URL, append(options, peer.Options...)...)
}

// clientInterceptor is the side of the caller, for every way to call.
type clientInterceptor struct {
	caller  *Caller
	service *Service
	methods map[string]*Method // by procedure
	broken  error
}

// begin decides whether the call may be made, and with which metadata.
func (i *clientInterceptor) begin(ctx context.Context) (Metadata, error) {
	if i.broken != nil {
		return Metadata{}, connect.NewError(connect.CodeInternal, i.broken)
	}
	if why := refused(ctx); why != "" {
		return Metadata{}, connect.NewError(connect.CodeInternal, fmt.Errorf("call of %s refused: %s", i.service.Name, why))
	}
	if err := ctx.Err(); err != nil {
		return Metadata{}, contextError(err)
	}
	metadata := MetadataOf(ctx)
	metadata.Caller = i.caller.module
	return metadata, nil
}

func (i *clientInterceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		metadata, err := i.begin(ctx)
		if err == nil {
			err = metadata.Encode(request.Header())
		}
		if err != nil {
			return nil, err
		}
		response, err := next(ctx, request)
		if err != nil {
			return nil, i.received(ctx, request.Spec().Procedure, err)
		}
		return response, nil
	}
}

func (i *clientInterceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		metadata, err := i.begin(ctx)
		conn := next(ctx, spec)
		if err == nil {
			err = metadata.Encode(conn.RequestHeader())
		}
		return &clientConn{StreamingClientConn: conn, ctx: ctx, side: i, refused: err}
	}
}

// WrapStreamingHandler is the identity: this is the side of the caller.
func (i *clientInterceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// received makes of an error of the network client what a direct call gives, or what only a network can give.
func (i *clientInterceptor) received(ctx context.Context, procedure string, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil {
		return contextError(ctxErr)
	}
	var connectErr *connect.Error
	if !errors.As(err, &connectErr) {
		connectErr = connect.NewError(connect.CodeUnavailable, err)
	}
	if connect.IsWireError(err) {
		return rebuild(connectErr)
	}
	// The client made this error itself: the request could not be encoded, an answer could not be read, or nobody answered.
	switch connectErr.Code() {
	case connect.CodeResourceExhausted:
		return requestError(errTooLarge)
	case connect.CodeInternal:
		return requestError(errInvalidUTF8)
	case connect.CodeDeadlineExceeded:
		return contextError(context.DeadlineExceeded)
	}
	i.caller.directory.log.LogAttrs(ctx, slog.LevelWarn, "peer did not answer",
		slog.String("procedure", procedure), slog.String("error", err.Error()))
	return connect.NewWireError(connect.CodeUnavailable, fmt.Errorf("%s is unavailable", i.service.Module))
}

// clientConn is a stream as its caller sees it.
type clientConn struct {
	connect.StreamingClientConn
	ctx     context.Context
	side    *clientInterceptor
	refused error
}

func (c *clientConn) Send(m any) error {
	if c.refused != nil {
		return c.refused
	}
	// The request is checked here because a failed Send is reported by Receive, which cannot tell why.
	if request, ok := m.(proto.Message); ok {
		if _, err := proto.Marshal(request); err != nil {
			c.refused = requestError(errInvalidUTF8)
			return c.refused
		}
	}
	return c.StreamingClientConn.Send(m)
}

func (c *clientConn) Receive(m any) error {
	if c.refused != nil {
		return c.refused
	}
	err := c.StreamingClientConn.Receive(m)
	var connectErr *connect.Error
	if err == nil || !errors.As(err, &connectErr) { // io.EOF is the end.
		return err
	}
	return c.side.received(c.ctx, c.StreamingClientConn.Spec().Procedure, err)
}

func asError[T error](err error, target *T) bool { return errors.As(err, target) }
