package test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"testing"

	"connectrpc.com/connect"
)

// indiscreet is what no customer may learn from an error: what is behind the public port, and where.
var indiscreet = regexp.MustCompile(`(?i)\bpq\b|pgx|postgres|sqlstate|dial tcp|connection refused|127\.0\.0\.1|localhost|\.go\b|goroutine|/[a-z]+/[a-z]+/`)

// discretion looks at every error that a client gets from the other side.
type discretion struct{ t testing.TB }

func (d discretion) look(procedure string, err error) {
	var connectErr *connect.Error
	// An error that the client has made itself may say what it likes.
	if errors.As(err, &connectErr) && connect.IsWireError(err) && indiscreet.MatchString(connectErr.Message()) {
		d.t.Errorf("%s tells too much: %q", procedure, connectErr.Message())
	}
}

func (d discretion) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		response, err := next(ctx, request)
		if err != nil {
			d.look(request.Spec().Procedure, err)
		}
		return response, err
	}
}

func (d discretion) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		return discreetStream{next(ctx, spec), d}
	}
}

func (d discretion) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

type discreetStream struct {
	connect.StreamingClientConn
	discretion
}

func (s discreetStream) Receive(into any) error {
	err := s.StreamingClientConn.Receive(into)
	if err != nil && !errors.Is(err, io.EOF) {
		s.look(s.Spec().Procedure, err)
	}
	return err
}
