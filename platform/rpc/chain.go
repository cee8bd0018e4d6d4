package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"google.golang.org/protobuf/proto"
)

// Next runs the rest of a chain, and at its end the method itself. The response is nil if the method answers with a stream.
type Next func(ctx context.Context, request proto.Message) (proto.Message, error)

func (n Next) serve(ctx context.Context, request proto.Message) (proto.Message, error) {
	return n(ctx, request)
}

// Interceptor wraps every call of a method, in this process and over a network alike. It is called once per method when the service
// is added to its server; what it returns is called for each call, with the context of the callee. It may refuse a call with an
// error, but it neither changes the messages nor answers for the method.
type Interceptor func(method *Method, next Next) Next

// chain folds the interceptors around a method: outermost what measures it, then the error boundary, inside of them the access rule, innermost validation.
func (s *Server) chain(service *Service, method *Method) Next {
	next := validate(s.validator, method, func(ctx context.Context, request proto.Message) (proto.Message, error) {
		return callOf(ctx).end.serve(ctx, request)
	})
	next = s.authorize(method, next)
	for i := len(s.interceptors) - 1; i >= 0; i-- {
		next = s.interceptors[i](method, next)
	}
	return s.observe(service, method, boundary(s.log.With("module", service.Module), method, next))
}

// boundary lets nothing out of a method but a response or a sealed error.
func boundary(log *slog.Logger, method *Method, next Next) Next {
	return func(ctx context.Context, request proto.Message) (response proto.Message, err error) {
		defer func() {
			if p := recover(); p != nil {
				log.LogAttrs(ctx, slog.LevelError, "method panicked",
					append(callAttrs(ctx, method), slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))...)
				response, err = nil, internal()
			}
		}()
		if response, err = next(ctx, request); err != nil {
			return nil, seal(ctx, log, method, locateZeroByte(err, request))
		}
		return response, nil
	}
}
