package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// callerInterceptor is the side of the caller, for every way to call.
type callerInterceptor struct {
	caller  *Caller
	service *Service
	methods map[string]*Method // by procedure
	broken  error
}

// begin decides whether the call may be made, and with which metadata.
func (i *callerInterceptor) begin(ctx context.Context) (Metadata, error) {
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

func (i *callerInterceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		metadata, err := i.begin(ctx)
		if err != nil {
			return nil, err
		}
		procedure := request.Spec().Procedure
		method := i.methods[procedure]
		if err := method.CheckRequest(request.Any().(proto.Message)); err != nil {
			return nil, requestError(err)
		}
		ctx, span := i.startCall(ctx, method, &metadata)
		if err := metadata.Encode(request.Header()); err != nil {
			return nil, err
		}
		response, err := next(ctx, request)
		if err != nil {
			err, response = i.received(ctx, procedure, err), nil
		}
		endCall(span, err, err != nil)
		return response, err
	}
}

func (i *callerInterceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		return &callerStream{StreamingClientConn: next(ctx, spec), ctx: ctx, side: i}
	}
}

// WrapStreamingHandler is the identity: this is the side of the caller.
func (i *callerInterceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// received makes of an error of the network client what a direct call gives, or what only a network can give.
func (i *callerInterceptor) received(ctx context.Context, procedure string, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil {
		return contextError(ctxErr)
	}
	var connectErr *connect.Error
	if errors.As(err, &connectErr) {
		switch {
		case connect.IsWireError(err) && validCode(connectErr.Code()):
			return rebuild(connectErr)
		case connectErr.Code() == connect.CodeResourceExhausted:
			return responseError(errTooLarge)
		case connectErr.Code() == connect.CodeDeadlineExceeded:
			return contextError(context.DeadlineExceeded)
		}
	}
	// The client made this error itself: nobody answered, or not to the end, or not in the protocol.
	i.caller.directory.log.LogAttrs(ctx, slog.LevelWarn, "peer did not answer",
		slog.String("procedure", procedure), slog.String("error", err.Error()))
	return unavailable(i.service.Module)
}

// callerStream is a stream as its caller sees it.
type callerStream struct {
	connect.StreamingClientConn
	ctx     context.Context
	side    *callerInterceptor
	refused error
}

// Send sends the request. Metadata are set here and not earlier, because connect adds what the caller put into its own headers after
// the stream is made.
func (c *callerStream) Send(m any) error {
	metadata, err := c.side.begin(c.ctx)
	if err == nil {
		err = metadata.Encode(c.RequestHeader())
	}
	procedure := c.Spec().Procedure
	if request, ok := m.(proto.Message); ok && err == nil {
		if wrong := c.side.methods[procedure].CheckRequest(request); wrong != nil {
			err = requestError(wrong)
		}
	}
	if err != nil {
		c.refused = err
		return err
	}
	if err := c.StreamingClientConn.Send(m); err != nil && !errors.Is(err, io.EOF) { // After io.EOF, Receive tells more.
		return c.side.received(c.ctx, procedure, err)
	}
	return nil
}

func (c *callerStream) Receive(m any) error {
	if c.refused != nil {
		return c.refused
	}
	err := c.StreamingClientConn.Receive(m)
	if err == nil || errors.Is(err, io.EOF) { // The end.
		return err
	}
	return c.side.received(c.ctx, c.Spec().Procedure, err)
}

// CloseRequest ends the request. Without a request nothing is sent: connect would send an empty one.
func (c *callerStream) CloseRequest() error {
	if c.refused != nil {
		return nil
	}
	return c.StreamingClientConn.CloseRequest()
}

// CloseResponse ends the stream. That the callee was cut short is no error of the caller's who wanted it so.
func (c *callerStream) CloseResponse() error {
	if c.refused == nil {
		_ = c.StreamingClientConn.CloseResponse()
	}
	return nil
}
