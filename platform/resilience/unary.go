package resilience

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
	"github.com/failsafe-go/failsafe-go"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// interceptor has the policies run around the calls of a client.
type interceptor struct{ set *set }

func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		began := time.Now()
		c := &unary{set: i.set, caller: ctx, until: i.set.until(ctx), request: request, next: next}
		response, err := c.do()
		i.set.methods.get(request.Spec().Procedure).observe(time.Since(began), codeOf(ctx, err))
		return response, err
	}
}

// WrapStreamingHandler is the identity: this is the side of the caller.
func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// unary is one call.
type unary struct {
	set     *set
	caller  context.Context
	until   time.Time
	request connect.AnyRequest
	next    connect.UnaryFunc
	made    int // attempts
}

// do makes the call, more than once if that is allowed and helps.
func (c *unary) do() (connect.AnyResponse, error) {
	c.set.budget.earn()
	if !safe(c.request) {
		return c.attempt(true)
	}
	return failsafe.With(c.set.retry).WithContext(c.caller).Get(func() (connect.AnyResponse, error) {
		c.made++
		last := c.made == c.set.network.figures.Attempts
		response, err := c.attempt(last)
		if err != nil && !last && c.repeats(err) {
			trace.SpanFromContext(c.caller).AddEvent("repeated", trace.WithAttributes(semconv.ErrorTypeKey.String(connect.CodeOf(err).String())))
			return nil, &repeat{err}
		}
		return response, err
	})
}

// repeats decides whether the call is made again after an error.
func (c *unary) repeats(err error) bool {
	if errors.As(err, new(*refused)) || !again(c.caller, err) || time.Until(c.until) < c.set.network.figures.MaxBackoff {
		return false
	}
	return c.set.mayRepeat()
}

// attempt makes the call once, with a part of the time that is left.
func (c *unary) attempt(last bool) (connect.AnyResponse, error) {
	ctx, cancel := context.WithTimeout(c.caller, part(time.Until(c.until), last))
	defer cancel()
	if err := c.set.enter(ctx, c.set.calls); err != nil {
		return nil, err
	}
	v, began := failed, time.Now() // A panic of the transport is a failure of it.
	defer func() { c.set.leave(c.set.calls, v) }()
	response, err := c.next(ctx, c.request)
	v = judge(c.caller, err, time.Since(began), c.set.network.figures.Patience)
	return response, err
}

// safe reports whether a call can be made twice and has one effect.
func safe(request connect.AnyRequest) bool {
	if request.Spec().IdempotencyLevel != connect.IdempotencyUnknown {
		return true
	}
	message, ok := request.Any().(proto.Message)
	if !ok {
		return false
	}
	field := message.ProtoReflect().Descriptor().Fields().ByName("request_id")
	return field != nil && field.Kind() == protoreflect.StringKind && !field.IsList() && message.ProtoReflect().Get(field).String() != ""
}
