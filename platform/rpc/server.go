package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// compressMinBytes is the size below which an answer is not worth compressing.
const compressMinBytes = 1 << 10

// Server holds the services that live in this process and runs the one chain around their methods. It is an [http.Handler] that
// speaks Connect, gRPC and gRPC-Web.
type Server struct {
	log          *slog.Logger
	validator    protovalidate.Validator
	interceptors []Interceptor
	mux          *http.ServeMux

	mu       sync.RWMutex
	methods  map[string]*Method // by procedure
	handlers map[string]Handler // by service
}

// NewServer returns a server without services. The interceptors run outermost first, inside the boundary that seals errors and
// catches panics and outside validation.
func NewServer(log *slog.Logger, interceptors ...Interceptor) (*Server, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make validator: %w", err)
	}
	return &Server{
		log: log, validator: validator, interceptors: interceptors, mux: http.NewServeMux(),
		methods: map[string]*Method{}, handlers: map[string]Handler{},
	}, nil
}

// Handle adds a service.
func (s *Server) Handle(h Handler) error {
	if _, taken := s.handler(h.Service); taken {
		return fmt.Errorf("service %s is served twice", h.Service.Name)
	}
	// The rules of a message are compiled when one is first seen: now, so that a rule that cannot be compiled stops the start and
	// no caller waits for it.
	for _, method := range h.Service.Methods {
		var broken *protovalidate.CompilationError
		if err := s.validator.Validate(method.NewRequest()); asError(err, &broken) {
			return fmt.Errorf("rules of %s: %w", method.Procedure, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, method := range h.Service.Methods {
		s.methods[method.Procedure] = method
	}
	s.handlers[h.Service.Name] = h
	s.mux.Handle(h.mount(
		connect.WithInterceptors(&serverInterceptor{s}),
		connect.WithReadMaxBytes(MaxMessageBytes),
		connect.WithCompressMinBytes(compressMinBytes),
	))
	return nil
}

func (s *Server) handler(service *Service) (Handler, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	h, ok := s.handlers[service.Name]
	return h, ok
}

func (s *Server) method(procedure string) *Method {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.methods[procedure]
}

// ServeHTTP serves the services, public methods and others: whoever exposes it decides who comes in. It believes the metadata in
// the headers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// serverInterceptor runs the chain around a method that is called over HTTP.
type serverInterceptor struct{ server *Server }

func (i *serverInterceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		method := i.server.method(request.Spec().Procedure)
		ctx, err := calleeContext(ctx, method, request.Header())
		if err != nil {
			return nil, err
		}
		var answer connect.AnyResponse
		run := i.server.chain(method, func(ctx context.Context, _ proto.Message) (response proto.Message, err error) {
			if answer, err = next(ctx, request); err != nil {
				return nil, err
			}
			response = answer.Any().(proto.Message)
			if !response.ProtoReflect().IsValid() { // A nil response is an empty one.
				return response, nil
			}
			if err := method.CheckResponse(response); err != nil {
				i.server.log.LogAttrs(ctx, slog.LevelError, "response cannot be sent",
					append(callAttrs(ctx, method), slog.String("error", err.Error()))...)
				return nil, responseError(err)
			}
			return response, nil
		})
		if _, err := run(ctx, request.Any().(proto.Message)); err != nil {
			return nil, err
		}
		return answer, nil
	}
}

func (i *serverInterceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		method := i.server.method(conn.Spec().Procedure)
		ctx, err := calleeContext(ctx, method, conn.RequestHeader())
		if err != nil {
			return err
		}
		request := method.NewRequest()
		if err := conn.Receive(request); err != nil {
			return err
		}
		run := i.server.chain(method, func(ctx context.Context, request proto.Message) (proto.Message, error) {
			return nil, next(ctx, &streamConn{StreamingHandlerConn: conn, request: request, method: method})
		})
		_, err = run(ctx, request)
		return err
	}
}

// WrapStreamingClient is the identity: this is the side of the callee.
func (i *serverInterceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// calleeContext makes the context that a method sees when it is called over HTTP.
func calleeContext(ctx context.Context, method *Method, header http.Header) (context.Context, error) {
	metadata, err := DecodeMetadata(header)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	return &cleanContext{parent: ctx, call: &call{metadata: metadata, method: method}}, nil
}

// streamConn is a stream whose only request has been received already, and whose responses are checked.
type streamConn struct {
	connect.StreamingHandlerConn
	request proto.Message
	method  *Method
}

func (c *streamConn) Receive(into any) error {
	if c.request == nil {
		return c.StreamingHandlerConn.Receive(into)
	}
	proto.Merge(into.(proto.Message), c.request)
	c.request = nil
	return nil
}

func (c *streamConn) Send(m any) error {
	if response, ok := m.(proto.Message); ok {
		if err := c.method.CheckResponse(response); err != nil {
			return responseError(err)
		}
	}
	return c.StreamingHandlerConn.Send(m)
}
