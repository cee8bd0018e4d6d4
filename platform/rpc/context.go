package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
)

// call is the only value in a callee's context.
type call struct {
	metadata Metadata
	method   *Method
	// end runs the method itself for this one call. The chain around it is folded once per method and finds it here.
	end chainEnd
	// ownerAsked becomes true when the method asks for the owner; nil if its rule has none.
	ownerAsked *atomic.Bool
}

// chainEnd is what a chain ends in.
type chainEnd interface {
	serve(ctx context.Context, request proto.Message) (proto.Message, error)
}

type (
	callKey   struct{}
	refuseKey struct{}
)

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// WithMetadata returns a context whose calls carry m. A module does not need it: a call made with the context of a method carries
// the metadata of that method's call.
func WithMetadata(ctx context.Context, m Metadata) context.Context {
	var changed call
	if c := callOf(ctx); c != nil {
		changed = *c
	}
	changed.metadata = m.normal()
	return context.WithValue(withoutOther(ctx, m.Trace), callKey{}, &changed)
}

// MetadataOf returns the metadata that came with the call that ctx belongs to. Its slices are not to be changed.
func MetadataOf(ctx context.Context) Metadata {
	if c := callOf(ctx); c != nil {
		return c.metadata
	}
	return Metadata{}
}

// MethodOf returns the method that ctx belongs to, or nil outside of one.
func MethodOf(ctx context.Context) *Method {
	if c := callOf(ctx); c != nil {
		return c.method
	}
	return nil
}

// RefuseCalls returns a context with which every call over the seam fails, saying why. A database transaction uses it: a call
// inside would hold its locks for as long as the other module takes, and would not be undone with it.
func RefuseCalls(ctx context.Context, why string) context.Context {
	return context.WithValue(ctx, refuseKey{}, why)
}

// refused returns why calls with ctx are refused, or "".
func refused(ctx context.Context) string {
	why, _ := ctx.Value(refuseKey{}).(string)
	return why
}

// calleeContext is the context of a callee: the deadline and cancellation of its parent, and one value.
type calleeContext struct {
	parent context.Context
	call   *call
}

func (c *calleeContext) Deadline() (time.Time, bool) { return c.parent.Deadline() }
func (c *calleeContext) Done() <-chan struct{}       { return c.parent.Done() }
func (c *calleeContext) Err() error                  { return c.parent.Err() }

func (c *calleeContext) Value(key any) any {
	if key == (callKey{}) && c.call != nil {
		return c.call
	}
	return nil
}

// AfterFunc lets contexts derived from c attach to the parent. Without it the context package starts a goroutine for each.
func (c *calleeContext) AfterFunc(f func()) func() bool { return context.AfterFunc(c.parent, f) }

// localContext is the context of a callee in this process. It ends with the call, as that of a network call does, so that what the
// callee left running cannot tell the two apart.
type localContext struct {
	calleeContext

	mu    sync.Mutex
	ended bool
	// own is what can be waited for. It is made for a callee who waits or derives a context: it costs as much as a small message.
	own    context.Context
	cancel context.CancelFunc
}

// live returns own, made if need be.
func (c *localContext) live() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil {
		c.own, c.cancel = context.WithCancel(c.parent)
		if c.ended {
			c.cancel()
		}
	}
	return c.own
}

// end ends the context.
func (c *localContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
}

func (c *localContext) Done() <-chan struct{} { return c.live().Done() }

func (c *localContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.own != nil:
		return c.own.Err()
	case c.parent.Err() != nil:
		return c.parent.Err()
	case c.ended:
		return context.Canceled
	}
	return nil
}

func (c *localContext) AfterFunc(f func()) func() bool { return context.AfterFunc(c.live(), f) }
