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
	service := u.local.caller.directory.server.service(u.local.service)
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
	c := &localCall[H, Req, Res]{Unary: u, target: method, request: copied, done: make(chan struct{})}
	c.call = call{metadata: metadata, method: u.method, end: c}
	c.callee.calleeContext = calleeContext{parent: ctx, call: &c.call}
	go c.run()
	select {
	case <-c.done:
		if c.err != nil && ctx.Err() != nil {
			return nil, contextError(ctx.Err())
		}
		return c.response, c.err
	case <-ctx.Done():
		return nil, contextError(ctx.Err())
	}
}

// localCall is one call, on the callee's side.
type localCall[H, Req, Res any] struct {
	*Unary[H, Req, Res]
	target  *localMethod[H]
	callee  localContext
	call    call
	request *Req

	// The answer is there when done is closed.
	done     chan struct{}
	response *Res
	err      error
}

// run runs the method with the chain around it.
func (c *localCall[H, Req, Res]) run() {
	growStack(0)
	returned := false
	defer func() {
		if !returned { // The callee has ended this goroutine, and would have ended that of a network call.
			c.err = unavailable(c.local.service.Module)
		}
		c.callee.end()
		close(c.done)
	}()
	_, c.err = c.target.run(&c.callee, any(c.request).(proto.Message))
	if c.err == nil && c.response == nil {
		c.err = c.local.caller.directory.server.unanswered(&c.callee, c.method)
	}
	returned = true
}

// serve is the end of the chain: the method itself.
func (c *localCall[H, Req, Res]) serve(ctx context.Context, _ proto.Message) (proto.Message, error) {
	response, err := c.invoke(c.target.implementation, ctx, c.request)
	if err != nil {
		return nil, err
	}
	// The copy is made on this side, before the callee can get hold of its message again.
	copied, err := copyMessage(c.copyResponse, response)
	if err != nil {
		return nil, c.local.caller.directory.server.refuseResponse(ctx, c.method, err)
	}
	c.response = copied
	return any(copied).(proto.Message), nil
}
