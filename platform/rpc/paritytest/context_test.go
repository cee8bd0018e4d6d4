package paritytest

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

var (
	canceled         = Seen{Code: connect.CodeCanceled, Message: "context canceled"}
	deadlineExceeded = Seen{Code: connect.CodeDeadlineExceeded, Message: "context deadline exceeded"}
)

// A case waits for these deadlines. Before later a call has surely come to its callee, over a new connection and on a busy machine.
const (
	soon  = 50 * time.Millisecond
	later = 2 * time.Second
)

// noted is what a case wants of notes besides.
func (s Seen) noted(notes ...string) Seen {
	s.Notes = notes
	return s
}

// answered is a response without anything in it.
func answered() Seen { return Seen{Response: &parityv1.CallResponse{}} }

// ends waits until ctx is done and returns the error, or says that it never is.
func ends(p *Pair, ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.Context.Done():
		return errors.New("never ended")
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	Run(t,
		Case{Name: "callee respects it", Want: deadlineExceeded, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return nil, ends(p, ctx)
			})
			ctx, cancel := context.WithTimeout(p.Context, soon)
			defer cancel()
			return p.Call(ctx, &parityv1.CallRequest{})
		}},
		Case{Name: "callee ignores it", Unshared: true, Want: deadlineExceeded.noted("entered"), Do: func(t *testing.T, p *Pair) Seen {
			release := make(chan struct{})
			t.Cleanup(func() { close(release) }) // Only after the caller has its answer.
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				p.Note("entered")
				<-release
				return &parityv1.CallResponse{}, nil
			})
			ctx, cancel := context.WithTimeout(p.Context, later)
			defer cancel()
			return p.Call(ctx, &parityv1.CallRequest{})
		}},
		Case{Name: "passed before the call", Want: deadlineExceeded, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				p.Note("called")
				return &parityv1.CallResponse{}, nil
			})
			ctx, cancel := context.WithDeadline(p.Context, time.Now().Add(-time.Second))
			defer cancel()
			return p.Call(ctx, &parityv1.CallRequest{})
		}},
		Case{Name: "arrives at the callee", Unshared: true, Want: answered().noted("near: true"), Do: func(_ *testing.T, p *Pair) Seen {
			deadline := time.Now().Add(time.Hour)
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				seen, ok := ctx.Deadline()
				p.Note("near: %t", ok && seen.Sub(deadline).Abs() < 10*time.Second)
				return &parityv1.CallResponse{}, nil
			})
			ctx, cancel := context.WithDeadline(context.Background(), deadline)
			defer cancel()
			return p.Call(ctx, &parityv1.CallRequest{})
		}},
		Case{Name: "none", Unshared: true, Want: answered().noted("deadline: false, can end: true"), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				_, ok := ctx.Deadline()
				p.Note("deadline: %t, can end: %t", ok, ctx.Done() != nil)
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(context.Background(), &parityv1.CallRequest{})
		}},
		Case{Name: "of the callee's own", Want: answered().noted("context deadline exceeded", "parent: <nil>"), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				inner, cancel := context.WithTimeout(ctx, time.Millisecond)
				defer cancel()
				p.Note("%v", ends(p, inner))
				p.Note("parent: %v", ctx.Err())
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(p.Context, &parityv1.CallRequest{})
		}},
	)
}

func TestCancellation(t *testing.T) {
	t.Parallel()
	// cancelWhileCalled calls, cancels when the callee is at work, and waits until the callee has seen it.
	cancelWhileCalled := func(p *Pair, observe func(context.Context)) Seen {
		ctx, cancel := context.WithCancelCause(p.Context)
		observed := make(chan struct{})
		p.OnCall(func(callee context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			defer close(observed)
			cancel(errors.New("changed my mind"))
			observe(callee)
			return &parityv1.CallResponse{}, nil
		})
		seen := p.Call(ctx, &parityv1.CallRequest{})
		<-observed
		return seen
	}
	Run(t,
		Case{Name: "ends the callee's context", Want: canceled.noted("context canceled"), Do: func(_ *testing.T, p *Pair) Seen {
			return cancelWhileCalled(p, func(ctx context.Context) { p.Note("%v", ends(p, ctx)) })
		}},
		Case{Name: "does not tell the callee why", Want: canceled.noted("context canceled"), Do: func(_ *testing.T, p *Pair) Seen {
			return cancelWhileCalled(p, func(ctx context.Context) {
				_ = ends(p, ctx)
				p.Note("%v", context.Cause(ctx))
			})
		}},
		Case{Name: "ends what the callee derived", Want: canceled.noted("context canceled", "after"), Do: func(_ *testing.T, p *Pair) Seen {
			return cancelWhileCalled(p, func(ctx context.Context) {
				derived, cancel := context.WithTimeout(context.WithValue(ctx, http.ServerContextKey, "own"), time.Hour)
				defer cancel()
				after := make(chan struct{})
				context.AfterFunc(derived, func() { close(after) })
				err := ends(p, derived)
				<-after
				p.Note("%v", err)
				p.Note("after")
			})
		}},
		Case{Name: "before the call", Want: canceled, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				p.Note("called")
				return &parityv1.CallResponse{}, nil
			})
			ctx, cancel := context.WithCancel(p.Context)
			cancel()
			return p.Call(ctx, &parityv1.CallRequest{})
		}},
		Case{Name: "of what the callee left running when it answered", Want: answered().noted("context canceled"), Do: func(_ *testing.T, p *Pair) Seen {
			left := make(chan error)
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				go func() { left <- ends(p, ctx) }()
				return &parityv1.CallResponse{}, nil
			})
			seen := p.Call(p.Context, &parityv1.CallRequest{})
			p.Note("%v", <-left)
			return seen
		}},
	)
}

func TestContextHoldsNothingElse(t *testing.T) {
	t.Parallel()
	type key struct{}
	Run(t, Case{
		Name: "values",
		Want: answered().noted("caller's value: <nil>", "call info: false", "net/http: <nil>", "method: Call"),
		Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				p.Note("caller's value: %v", ctx.Value(key{}))
				_, ok := connect.CallInfoForHandlerContext(ctx)
				p.Note("call info: %t", ok)
				p.Note("net/http: %v", ctx.Value(http.ServerContextKey))
				p.Note("method: %s", rpc.MethodOf(ctx).Name)
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(context.WithValue(p.Context, key{}, "secret"), &parityv1.CallRequest{})
		},
	})
}
