package paritytest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/rpc"
)

// never sets a callee that must not be reached.
func never(p *Pair) {
	p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		p.Note("called")
		return &parityv1.CallResponse{}, nil
	})
	p.OnWatch(func(context.Context, *parityv1.WatchRequest, *connect.ServerStream[parityv1.WatchResponse]) error {
		p.Note("called")
		return nil
	})
}

func TestCallInsideATransaction(t *testing.T) {
	t.Parallel()
	want := Seen{Code: connect.CodeInternal, Message: "call of cleave.platform.parity.v1.ParityService refused: a transaction is open"}
	inside := func(ctx context.Context) context.Context { return rpc.RefuseCalls(ctx, "a transaction is open") }
	type key struct{}
	Run(t,
		Case{Name: "unary", Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			never(p)
			return p.Call(inside(p.Context), &parityv1.CallRequest{})
		}},
		Case{Name: "unary, with a context derived from it", Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			never(p)
			ctx, cancel := context.WithCancel(rpc.WithMetadata(context.WithValue(inside(p.Context), key{}, 1), rpc.Metadata{}))
			defer cancel()
			return p.Call(ctx, &parityv1.CallRequest{})
		}},
		Case{Name: "stream", Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			never(p)
			return p.Watch(inside(p.Context), &parityv1.WatchRequest{})
		}},
		Case{Name: "by a callee, who has to answer for it", Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return p.Nested.Call(inside(ctx), &parityv1.CallRequest{})
			})
			return p.Call(p.Context, &parityv1.CallRequest{})
		}},
	)
}

// A call that is refused sends nothing, not even an empty request.
func TestRefusedStreamSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, err := rpc.NewServer(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		network := &silent{}
		directory := rpc.NewDirectory(server, nil, func(string) rpc.Peer { return rpc.Peer{URL: "http://parity", Client: network} })
		client := parityv1cleave.NewParityServiceClient(directory.Caller("caller", []*rpc.Service{parityv1cleave.ParityService}))
		_, err = client.Watch(rpc.RefuseCalls(t.Context(), "a transaction is open"), &parityv1.WatchRequest{})
		if connect.CodeOf(err) != connect.CodeInternal {
			t.Errorf("error is %v", err)
		}
		synctest.Wait()
		if n := network.requests.Load(); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

// silent is a network that answers nothing.
type silent struct{ requests atomic.Int32 }

func (s *silent) Do(*http.Request) (*http.Response, error) {
	s.requests.Add(1)
	return nil, errors.New("nobody answers")
}

func TestCallThatIsNotDeclared(t *testing.T) {
	t.Parallel()
	const message = "module stranger calls cleave.platform.parity.v1.ParityService but does not declare it: add it to Calls in its module.go"
	want := Seen{Code: connect.CodeInternal, Message: message, Notes: []string{message}}
	undeclared := func(p *Pair) {
		never(p)
		caller := p.Directory.Caller("stranger", nil)
		p.Client = parityv1cleave.NewParityServiceClient(caller)
		p.Note("%v", caller.Err())
	}
	Run(t,
		Case{Name: "unary", Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			undeclared(p)
			return p.Call(p.Context, &parityv1.CallRequest{})
		}},
		Case{Name: "stream", Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			undeclared(p)
			return p.Watch(p.Context, &parityv1.WatchRequest{})
		}},
	)
}

func TestServiceIsNotThereYet(t *testing.T) {
	t.Parallel()
	want := Seen{Code: connect.CodeUnavailable, Message: "parity is unavailable"}
	Run(t,
		Case{Name: "unary", NotServed: true, Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			return p.Call(p.Context, &parityv1.CallRequest{})
		}},
		Case{Name: "stream", NotServed: true, Want: want, Do: func(_ *testing.T, p *Pair) Seen {
			return p.Watch(p.Context, &parityv1.WatchRequest{})
		}},
		Case{Name: "and then it is", NotServed: true, Want: answered().noted("unavailable: parity is unavailable"), Do: func(t *testing.T, p *Pair) Seen {
			_, err := p.Client.Call(p.Context, &parityv1.CallRequest{})
			p.Note("%v", err)
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return &parityv1.CallResponse{}, nil
			})
			p.Handle(t)
			return p.Call(p.Context, &parityv1.CallRequest{})
		}},
	)
}
