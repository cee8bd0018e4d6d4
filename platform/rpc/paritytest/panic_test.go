package paritytest

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
)

// panics is a case whose callee panics.
func panics(name, logged string, do func()) Case {
	return Case{Name: name, Want: internal, Do: func(t *testing.T, p *Pair) Seen {
		p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			do()
			return &parityv1.CallResponse{}, nil
		})
		seen := p.Call(p.Context, &parityv1.CallRequest{})
		wantLog(t, p, "method panicked", logged, "panic_test.go", "/cleave.platform.parity.v1.ParityService/Call")
		return seen
	}}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	Run(t,
		panics("text", "lost my keys", func() { panic("lost my keys") }),
		panics("error", "lost my keys", func() { panic(errors.New("lost my keys")) }),
		panics("connect error", "lost my keys", func() { panic(connect.NewError(connect.CodeNotFound, errors.New("lost my keys"))) }),
		panics("value of our own", "{7 seven}", func() {
			panic(struct {
				n int
				s string
			}{7, "seven"})
		}),
		panics("nil pointer", "nil pointer dereference", func() {
			var request *parityv1.CallRequest
			request.Case = "x"
		}),
		panics("nil", "nil", func() { panic(nil) }), //nolint:govet // It is what the case is about.
		panics("the one that net/http knows", "abort", func() { panic(http.ErrAbortHandler) }),
	)
}

func TestPanicTakesNothingElseDown(t *testing.T) {
	t.Parallel()
	Run(t, Case{
		Name: "another call is in flight",
		Want: Seen{Response: &parityv1.CallResponse{Payload: &parityv1.Payload{Text: "alive"}}, Notes: []string{"internal: internal error"}},
		Do: func(t *testing.T, p *Pair) Seen {
			entered, leave := make(chan struct{}), make(chan struct{})
			p.OnCall(func(_ context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				if request.GetCase() == "panic" {
					panic("down")
				}
				close(entered)
				<-leave
				return &parityv1.CallResponse{Payload: &parityv1.Payload{Text: "alive"}}, nil
			})
			other := make(chan Seen)
			go func() { other <- p.Call(p.Context, &parityv1.CallRequest{}) }()
			<-entered
			_, err := p.Client.Call(p.Context, &parityv1.CallRequest{Case: "panic"})
			p.Note("%v", err)
			close(leave)
			return <-other
		},
	})
}

// A method that ends its goroutine, as a failing test double does, leaves no caller waiting.
func TestGoexit(t *testing.T) {
	t.Parallel()
	Run(t,
		Case{
			Name: "unary", Want: Seen{Code: connect.CodeUnavailable, Message: "parity is unavailable"},
			Do: func(_ *testing.T, p *Pair) Seen {
				p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
					runtime.Goexit()
					return nil, nil
				})
				return p.Call(p.Context, &parityv1.CallRequest{})
			},
		},
		Case{
			Name: "stream", Want: Seen{
				Code: connect.CodeUnavailable, Message: "parity is unavailable", Items: []*parityv1.WatchResponse{{Index: 1}},
			},
			Do: func(_ *testing.T, p *Pair) Seen {
				p.OnWatch(func(_ context.Context, _ *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
					if err := stream.Send(&parityv1.WatchResponse{Index: 1}); err != nil {
						return err
					}
					runtime.Goexit()
					return nil
				})
				return p.Watch(p.Context, &parityv1.WatchRequest{})
			},
		},
	)
}
