package rpc

import (
	"context"
	"errors"
	"testing"
)

// The context of a callee in this process makes something to wait for only when it is asked to, and must not be told apart by it.
func TestLocalContextEnds(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(context.Context){
		"not used": func(context.Context) {},
		"waited for": func(ctx context.Context) {
			if ctx.Done() == nil {
				t.Error("it cannot end")
			}
		},
	} {
		t.Run(name+", by its caller", func(t *testing.T) {
			t.Parallel()
			parent, cancel := context.WithCancel(t.Context())
			ctx := &localContext{calleeContext: calleeContext{parent: parent}}
			use(ctx)
			if ctx.Err() != nil {
				t.Errorf("before the end: %v", ctx.Err())
			}
			cancel()
			wantEnded(t, ctx)
		})
		t.Run(name+", by its callee", func(t *testing.T) {
			t.Parallel()
			ctx := &localContext{calleeContext: calleeContext{parent: t.Context()}}
			use(ctx)
			ctx.end()
			wantEnded(t, ctx)
		})
	}
}

func wantEnded(t *testing.T, ctx context.Context) {
	t.Helper()
	for _, when := range []string{"before", "after"} {
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("%s it is waited for: error is %v", when, ctx.Err())
		}
		<-ctx.Done()
	}
	ran := make(chan struct{})
	context.AfterFunc(ctx, func() { close(ran) })
	<-ran
}

// What a module keeps of metadata stays as it is, also when what cannot travel is replaced.
func TestWithMetadataLeavesItsArgument(t *testing.T) {
	t.Parallel()
	m := Metadata{Principal: Principal{Subject: "usr_1", Roles: []string{"\xff"}}}
	if got := MetadataOf(WithMetadata(t.Context(), m)).Principal.Roles[0]; got != "\uFFFD" {
		t.Errorf("role is %q", got)
	}
	if m.Principal.Roles[0] != "\xff" {
		t.Errorf("role was changed to %q", m.Principal.Roles[0])
	}
}
