package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// calleeInterceptor runs the chain around a method that is called over HTTP.
type calleeInterceptor struct {
	server *Server
	served *served
}

func (i *calleeInterceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		procedure := request.Spec().Procedure
		method := i.served.methods[procedure]
		var answer connect.AnyResponse
		ctx, err := receivedContext(ctx, method, request.Header(), func(ctx context.Context, _ proto.Message) (proto.Message, error) {
			given, err := next(ctx, request)
			if err != nil {
				return nil, err
			}
			response := given.Any().(proto.Message)
			if err := method.CheckResponse(response); err != nil {
				return nil, i.server.refuseResponse(ctx, method, err)
			}
			answer = given
			return response, nil
		})
		if err != nil {
			return nil, err
		}
		if _, err := i.served.chains[procedure](ctx, request.Any().(proto.Message)); err != nil {
			return nil, err
		}
		if answer == nil {
			return nil, i.server.unanswered(ctx, method)
		}
		return answer, nil
	}
}

func (i *calleeInterceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		procedure := conn.Spec().Procedure
		method := i.served.methods[procedure]
		ctx, err := receivedContext(ctx, method, conn.RequestHeader(), func(ctx context.Context, request proto.Message) (proto.Message, error) {
			return nil, next(ctx, &calleeStream{StreamingHandlerConn: conn, request: request, server: i.server, method: method, ctx: ctx})
		})
		if err != nil {
			return err
		}
		request := method.NewRequest()
		if err := conn.Receive(request); err != nil {
			if errors.Is(err, io.EOF) { // What the protocols want for it.
				return connect.NewError(connect.CodeUnimplemented, errors.New("request has no message"))
			}
			return err
		}
		_, err = i.served.chains[procedure](ctx, request)
		return err
	}
}

// WrapStreamingClient is the identity: this is the side of the callee.
func (i *calleeInterceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// receivedContext makes the context that a method sees when it is called over HTTP. A handler before the server, as the edge is one,
// may have put the metadata into the context; otherwise they are in the headers.
func receivedContext(ctx context.Context, method *Method, header http.Header, end Next) (context.Context, error) {
	var metadata Metadata
	if c := callOf(ctx); c != nil {
		metadata = c.metadata
	} else {
		var err error
		if metadata, err = DecodeMetadata(header); err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("metadata: %w", err))
		}
	}
	return &calleeContext{parent: ctx, call: &call{metadata: metadata, method: method, end: end}}, nil
}

// calleeStream is a stream whose only request has been received already, and whose items are checked.
type calleeStream struct {
	connect.StreamingHandlerConn
	request proto.Message
	server  *Server
	method  *Method
	ctx     context.Context
}

func (c *calleeStream) Receive(into any) error {
	if c.request == nil {
		return c.StreamingHandlerConn.Receive(into)
	}
	proto.Merge(into.(proto.Message), c.request)
	c.request = nil
	return nil
}

func (c *calleeStream) Send(m any) error {
	if item, ok := m.(proto.Message); ok { // Without one the headers are sent.
		if err := c.method.CheckResponse(item); err != nil {
			return c.server.refuseResponse(c.ctx, c.method, err)
		}
	}
	return c.StreamingHandlerConn.Send(m)
}
