package rpc

import (
	"context"
	"net/http"

	"google.golang.org/protobuf/proto"
)

// Bound returns the bound on the encoded size of what was copied.
func (c *Copier) Bound() int { return c.bytes }

// Problem returns what the wire would refuse in what was copied.
func (c *Copier) Problem() error { return c.problem }

// NewMemoryTransport returns the transport of streams in this process.
func NewMemoryTransport(handler http.Handler) http.RoundTripper { return &memoryTransport{handler} }

// Chain returns what the server runs around a method.
func Chain(s *Server, service *Service, method *Method) Next { return s.chain(service, method) }

// Observe returns what measures a method, and makes spans of it.
func Observe(s *Server, service *Service, method *Method, next Next) Next {
	return s.observe(service, method, next)
}

// CalleeContext returns the context of a callee whose method does nothing, called by a module.
func CalleeContext(ctx context.Context, method *Method) context.Context {
	end := Next(func(context.Context, proto.Message) (proto.Message, error) { return nil, nil })
	return &calleeContext{parent: ctx, call: &call{metadata: Metadata{Caller: "bench"}, method: method, end: end}}
}
