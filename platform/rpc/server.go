package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
)

// compressMinBytes is the size below which an answer is not worth compressing.
const compressMinBytes = 1 << 10

// Server holds the services that live in this process and runs the one chain around their methods. It is an [http.Handler] that
// speaks Connect, gRPC and gRPC-Web.
type Server struct {
	log          *slog.Logger
	validator    protovalidate.Validator
	interceptors []Interceptor
	durations    *prometheus.HistogramVec
	mux          *http.ServeMux

	mu       sync.RWMutex
	services map[string]*served // by key
}

// served is a service that lives in this process.
type served struct {
	handler Handler
	chains  map[string]Next    // by procedure
	methods map[string]*Method // by procedure
}

// NewServer returns a server without services. The interceptors run outermost first, inside the boundary that seals errors and
// catches panics and outside validation.
func NewServer(log *slog.Logger, interceptors ...Interceptor) (*Server, error) {
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("make validator: %w", err)
	}
	return &Server{
		log: log, validator: validator, interceptors: interceptors, durations: newDurations(), mux: http.NewServeMux(), services: map[string]*served{},
	}, nil
}

// Handle adds a service. It can be called from then on, also while others are added.
func (s *Server) Handle(h Handler) error {
	added := &served{handler: h, chains: map[string]Next{}, methods: map[string]*Method{}}
	for _, method := range h.Service.Methods {
		if err := compileRules(s.validator, method.NewRequest().ProtoReflect().Descriptor()); err != nil {
			return fmt.Errorf("%s: %w", method.Procedure, err)
		}
		added.methods[method.Procedure] = method
		added.chains[method.Procedure] = s.chain(h.Service, method)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.services[h.Service.key()]; taken {
		return fmt.Errorf("service %s is served twice", h.Service.Name)
	}
	s.services[h.Service.key()] = added
	path, handler := h.mount(
		connect.WithInterceptors(&calleeInterceptor{server: s, served: added}),
		connect.WithReadMaxBytes(MaxMessageBytes),
		connect.WithCompressMinBytes(compressMinBytes),
	)
	s.mux.Handle(h.Service.prefix+path, http.StripPrefix(h.Service.prefix, handler))
	return nil
}

// service returns a service that lives in this process, or nil if it is not there (yet).
func (s *Server) service(wanted *Service) *served {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.services[wanted.key()]
}

// ServeHTTP serves the services, public methods and others: whoever exposes it decides who comes in. It believes the metadata in
// the context, see [WithMetadata], or else in the headers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// refuseResponse logs why a method's response cannot be sent, and returns what the caller is told.
func (s *Server) refuseResponse(ctx context.Context, method *Method, err error) *connect.Error {
	s.log.LogAttrs(ctx, slog.LevelError, "response cannot be sent",
		append(callAttrs(ctx, method), slog.String("error", err.Error()))...)
	return responseError(err)
}

// unanswered logs that an interceptor neither ran the method nor refused the call, and returns what the caller is told.
func (s *Server) unanswered(ctx context.Context, method *Method) *connect.Error {
	s.log.LogAttrs(ctx, slog.LevelError, "interceptor answered for the method", callAttrs(ctx, method)...)
	return internal()
}
