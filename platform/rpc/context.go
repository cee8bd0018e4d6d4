package rpc

import (
	"context"
	"time"
)

// call is the only value in a callee's context.
type call struct {
	metadata Metadata
	method   *Method
	// end is the method itself for this one call. The chain around it is folded once per method and finds it here.
	end Next
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
	return context.WithValue(ctx, callKey{}, &changed)
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
