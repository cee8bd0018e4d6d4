package rpc

import (
	"context"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
)

// Local is a service of this process as its direct clients see it.
type Local struct{ *callerInterceptor }

// Unary is a method that a direct client calls. Generated clients hold one per method.
type Unary[H, Req, Res any] struct {
	local        *Local
	method       *Method
	invoke       func(H, context.Context, *Req) (*Res, error)
	copyRequest  CopyFunc[Req]
	copyResponse CopyFunc[Res]

	// The service may be built after its callers, so it is looked up until a call finds it.
	found atomic.Pointer[localMethod[H]]
}

// localMethod is a method of a service that is there.
type localMethod[H any] struct {
	implementation H
	run            Next
}

// NewUnary is for generated code.
func NewUnary[H, Req, Res any](
	local *Local, method *Method, invoke func(H, context.Context, *Req) (*Res, error), copyRequest CopyFunc[Req], copyResponse CopyFunc[Res],
) *Unary[H, Req, Res] {
	return &Unary[H, Req, Res]{local: local, method: method, invoke: invoke, copyRequest: copyRequest, copyResponse: copyResponse}
}

// find returns the method, or nil while its service is not there yet.
func (u *Unary[H, Req, Res]) find() *localMethod[H] {
	if m := u.found.Load(); m != nil {
		return m
	}
	service := u.local.caller.directory.server.service(u.local.service.Name)
	if service == nil {
		return nil
	}
	m := &localMethod[H]{implementation: service.handler.implementation.(H), run: service.chains[u.method.Procedure]}
	u.found.Store(m)
	return m
}

// Call calls the method. It returns at the latest when ctx is done; the callee may then still be at work, with a context that is
// done too.
func (u *Unary[H, Req, Res]) Call(ctx context.Context, request *Req) (*Res, error) {
	metadata, err := u.local.begin(ctx)
	if err != nil {
		return nil, err
	}
	metadata.Principal = metadata.Principal.clone()
	copied, err := copyMessage(u.copyRequest, request)
	if err != nil {
		return nil, requestError(err)
	}
	method := u.find()
	if method == nil {
		return nil, unavailable(u.local.service.Module)
	}
	type answer struct {
		response *Res
		err      error
	}
	answered := make(chan answer, 1)
	go func() {
		// Stands if the callee ends this goroutine, as it would end that of a network call.
		a := answer{err: unavailable(u.local.service.Module)}
		// What the callee has started ends with the call, as it does with that of a network call.
		parent, end := context.WithCancel(ctx)
		defer func() {
			end()
			answered <- a
		}()
		a.response, a.err = u.serve(&calleeContext{parent: parent, call: &call{metadata: metadata, method: u.method}}, method, copied)
	}()
	select {
	case a := <-answered:
		if a.err != nil && ctx.Err() != nil {
			return nil, contextError(ctx.Err())
		}
		return a.response, a.err
	case <-ctx.Done():
		return nil, contextError(ctx.Err())
	}
}

// serve runs the method on the callee's side.
func (u *Unary[H, Req, Res]) serve(ctx *calleeContext, method *localMethod[H], request *Req) (*Res, error) {
	server := u.local.caller.directory.server
	var answer *Res
	ctx.call.end = func(ctx context.Context, _ proto.Message) (proto.Message, error) {
		response, err := u.invoke(method.implementation, ctx, request)
		if err != nil {
			return nil, err
		}
		// The copy is made on this side, before the callee can get hold of its message again.
		copied, err := copyMessage(u.copyResponse, response)
		if err != nil {
			return nil, server.refuseResponse(ctx, u.method, err)
		}
		answer = copied
		return any(copied).(proto.Message), nil
	}
	if _, err := method.run(ctx, any(request).(proto.Message)); err != nil {
		return nil, err
	}
	if answer == nil {
		return nil, server.unanswered(ctx, u.method)
	}
	return answer, nil
}
