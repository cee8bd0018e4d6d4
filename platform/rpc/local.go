package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// Local is a service of this process as its direct clients see it.
type Local struct{ *clientInterceptor }

// Unary is a method that a direct client calls. Generated clients hold one per method.
type Unary[H, Req, Res any] struct {
	local        *Local
	method       *Method
	invoke       func(H, context.Context, *Req) (*Res, error)
	copyRequest  CopyFunc[Req]
	copyResponse CopyFunc[Res]

	// The service may be built after its callers, so the chain is folded at the first call that finds it.
	run atomic.Pointer[Next]
}

// NewUnary is for generated code.
func NewUnary[H, Req, Res any](
	local *Local, method *Method, invoke func(H, context.Context, *Req) (*Res, error), copyRequest CopyFunc[Req], copyResponse CopyFunc[Res],
) *Unary[H, Req, Res] {
	return &Unary[H, Req, Res]{local: local, method: method, invoke: invoke, copyRequest: copyRequest, copyResponse: copyResponse}
}

// chain returns the method with the chain around it. It fails while the service is not built yet.
func (u *Unary[H, Req, Res]) chain() (Next, error) {
	if run := u.run.Load(); run != nil {
		return *run, nil
	}
	server := u.local.caller.directory.server
	handler, ok := server.handler(u.local.service)
	if !ok {
		return nil, connect.NewWireError(connect.CodeUnavailable, fmt.Errorf("%s is unavailable", u.local.service.Module))
	}
	implementation := handler.implementation.(H)
	run := server.chain(u.method, func(ctx context.Context, request proto.Message) (proto.Message, error) {
		response, err := u.invoke(implementation, ctx, any(request).(*Req))
		if err != nil {
			return nil, err
		}
		// The copy is made on this side, before the callee can get hold of its message again.
		copied, err := copyMessage(u.copyResponse, response)
		if err != nil {
			server.log.LogAttrs(ctx, slog.LevelError, "response cannot be sent",
				append(callAttrs(ctx, u.method), slog.String("error", err.Error()))...)
			return nil, responseError(err)
		}
		return any(copied).(proto.Message), nil
	})
	u.run.Store(&run)
	return run, nil
}

// Call calls the method. It returns at the latest when ctx is done; the callee may then still be at work, with a context that is
// done too.
func (u *Unary[H, Req, Res]) Call(ctx context.Context, request *Req) (*Res, error) {
	metadata, err := u.local.begin(ctx)
	if err != nil {
		return nil, err
	}
	run, err := u.chain()
	if err != nil {
		return nil, err
	}
	copied, err := copyMessage(u.copyRequest, request)
	if err != nil {
		return nil, requestError(err)
	}
	inner := &cleanContext{parent: ctx, call: &call{metadata: metadata, method: u.method}}
	message := any(copied).(proto.Message)
	if ctx.Done() == nil { // Nobody can lose patience: no goroutine is needed to leave the callee behind.
		return answer[Res](run(inner, message))
	}
	type result struct {
		response proto.Message
		err      error
	}
	done := make(chan result, 1)
	go func() {
		response, err := run(inner, message)
		done <- result{response, err}
	}()
	select {
	case r := <-done:
		return answer[Res](r.response, r.err)
	case <-ctx.Done():
		return nil, contextError(ctx.Err())
	}
}

func answer[Res any](response proto.Message, err error) (*Res, error) {
	if err != nil {
		return nil, err
	}
	return any(response).(*Res), nil
}
