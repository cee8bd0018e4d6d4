package paritytest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/rpc"
)

// intercepted is a case with one interceptor around a callee that notes who calls it.
func intercepted(name string, want Seen, intercept func(rpc.Next) rpc.Next) []Case {
	around := []rpc.Interceptor{func(_ *rpc.Method, next rpc.Next) rpc.Next { return intercept(next) }}
	wantUnary := want
	if want.Code == 0 {
		wantUnary.Response = &parityv1.CallResponse{}
	}
	return []Case{
		{Name: name + ", unary", Interceptors: around, Want: wantUnary, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				p.Note("called for %q", rpc.MetadataOf(ctx).Principal.Subject)
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(p.Context, &parityv1.CallRequest{Case: "asked"})
		}},
		{Name: name + ", stream", Interceptors: around, Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnWatch(func(ctx context.Context, _ *parityv1.WatchRequest, _ *watchStream) error {
				p.Note("called for %q", rpc.MetadataOf(ctx).Principal.Subject)
				return nil
			})
			return p.Watch(p.Context, &parityv1.WatchRequest{Case: "asked"})
		}},
	}
}

func TestInterceptors(t *testing.T) {
	t.Parallel()
	var cases []Case
	add := func(more []Case) { cases = append(cases, more...) }
	add(intercepted("goes on", Seen{}.noted(`called for ""`), func(next rpc.Next) rpc.Next { return next }))
	add(intercepted("refuses", Seen{Code: connect.CodePermissionDenied, Message: "not you"}, func(rpc.Next) rpc.Next {
		return func(context.Context, proto.Message) (proto.Message, error) {
			return nil, rpc.Errorf(connect.CodePermissionDenied, "", "not %s", "you")
		}
	}))
	add(intercepted("fails", internal, func(rpc.Next) rpc.Next {
		return func(context.Context, proto.Message) (proto.Message, error) { return nil, errors.New("secret") }
	}))
	add(intercepted("panics", internal, func(rpc.Next) rpc.Next {
		return func(context.Context, proto.Message) (proto.Message, error) { panic("lost my keys") }
	}))
	add(intercepted("sees the request", Seen{Code: connect.CodeAborted, Message: "asked"}, func(rpc.Next) rpc.Next {
		return func(_ context.Context, request proto.Message) (proto.Message, error) {
			return nil, rpc.Errorf(connect.CodeAborted, "", "%s", request.(interface{ GetCase() string }).GetCase())
		}
	}))
	add(intercepted("changes metadata", Seen{}.noted(`called for "usr_9"`), func(next rpc.Next) rpc.Next {
		return func(ctx context.Context, request proto.Message) (proto.Message, error) {
			m := rpc.MetadataOf(ctx)
			m.Principal.Subject = "usr_9"
			return next(rpc.WithMetadata(ctx, m), request)
		}
	}))
	Run(t, cases...)

	answers := func(response proto.Message) []rpc.Interceptor {
		return []rpc.Interceptor{func(_ *rpc.Method, _ rpc.Next) rpc.Next {
			return func(context.Context, proto.Message) (proto.Message, error) { return response, nil }
		}}
	}
	call := func(t *testing.T, p *Pair) Seen {
		never(p)
		seen := p.Call(p.Context, &parityv1.CallRequest{})
		wantLog(t, p, "interceptor answered for the method")
		return seen
	}
	Run(t,
		Case{Name: "answers for the method", Interceptors: answers(&parityv1.CallResponse{}), Want: internal, Do: call},
		Case{Name: "answers nothing", Interceptors: answers(nil), Want: internal, Do: call},
	)
}

func TestInterceptorOrder(t *testing.T) {
	t.Parallel()
	type key struct{}
	named := func(name string) rpc.Interceptor {
		return func(_ *rpc.Method, next rpc.Next) rpc.Next {
			return func(ctx context.Context, request proto.Message) (proto.Message, error) {
				path, _ := ctx.Value(key{}).(string)
				response, err := next(context.WithValue(ctx, key{}, path+name), request)
				if err != nil {
					return nil, rpc.Errorf(connect.CodeOf(err), "", "%s, out of %s", err.(*connect.Error).Message(), name)
				}
				return response, nil
			}
		}
	}
	Run(t, Case{
		Name: "first is outermost", Interceptors: []rpc.Interceptor{named("a"), named("b")},
		Want: Seen{Code: connect.CodeAborted, Message: "in ab, out of b, out of a"},
		Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return nil, rpc.Errorf(connect.CodeAborted, "", "in %v", ctx.Value(key{}))
			})
			return p.Call(p.Context, &parityv1.CallRequest{})
		},
	})
}

// What an interceptor keeps per method, for instance a limit, is one for all callers and ways.
func TestInterceptorIsMadeOncePerMethod(t *testing.T) {
	t.Parallel()
	for _, way := range Ways() {
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			var made atomic.Int32
			p := newPair(t, way, Case{Interceptors: []rpc.Interceptor{func(_ *rpc.Method, next rpc.Next) rpc.Next {
				made.Add(1)
				return next
			}}})
			for range 3 {
				for _, call := range []func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error){p.Client.Call, p.Nested.Call} {
					if _, err := call(p.Context, &parityv1.CallRequest{}); connect.CodeOf(err) != connect.CodeUnimplemented {
						t.Fatal(err)
					}
				}
				p.Watch(p.Context, &parityv1.WatchRequest{})
			}
			if got, want := fmt.Sprint(made.Load()), fmt.Sprint(len(parityv1cleave.ParityService.Methods)+len(parityv1cleave.AccessService.Methods)); got != want {
				t.Errorf("interceptor was made %s times, want %s", got, want)
			}
		})
	}
}
