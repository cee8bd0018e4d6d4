package app

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/cleave-go/cleave/platform/rpc"
)

// endStreams lets the streams of this unit's modules end when it stops: a stop does not wait for what may take an hour. The caller is
// told that the module is unavailable, comes again, and meets another replica.
func (u *unit) endStreams(method *rpc.Method, next rpc.Next) rpc.Next {
	if !method.ServerStream {
		return next
	}
	return func(ctx context.Context, request proto.Message) (proto.Message, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(u.stopping, cancel)()
		response, err := next(ctx, request)
		if err != nil && u.stopping.Err() != nil {
			return nil, rpc.Errorf(connect.CodeUnavailable, "", "the service is stopping: call again")
		}
		return response, err
	}
}
