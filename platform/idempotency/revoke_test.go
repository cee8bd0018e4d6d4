package idempotency_test

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect"
	"entgo.io/ent/dialect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The Dos that are revoked in these tests: Call is public, Look is internal.
var call, look = parityv1cleave.ParityService.Methods[0], parityv1cleave.ParityService.Methods[1]

// as returns the context of a call that a module makes for a principal, as an Undo has it.
func as(t *testing.T, module, principal string) context.Context {
	return rpc.WithMetadata(t.Context(), rpc.Metadata{Caller: module, Principal: rpc.Principal{Subject: principal}})
}

// revokeLook revokes a request of Look and returns the text of its answer, or "" if it was not carried out. With end the transaction
// fails after that.
func (b *bundle) revokeLook(ctx context.Context, id string, end error) (text string, err error) {
	err = b.store.Tx(ctx, func(ctx context.Context, tx db.Tx[dialect.Driver]) error {
		kept, done, err := idempotency.Revoke[parityv1.LookResponse](ctx, tx, look, id)
		if done != (kept != nil) {
			return errors.New("done without an answer, or an answer without done")
		}
		text = kept.GetText()
		return errors.Join(err, end)
	})
	return text, err
}

func TestRevokeAfterDoReturnsItsAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, request := moduletest.As(t, "usr_a"), &parityv1.LookRequest{Case: "1"}
	first, err := b.client("orders").Look(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if text, err := b.revokeLook(as(t, "orders", ""), "1", nil); err != nil || text != first.GetText() {
			t.Errorf("%q, %v, want %q", text, err, first.GetText())
		}
	}
	// What was carried out stays so: whoever lost the answer still gets it.
	if again, err := b.client("orders").Look(ctx, request); err != nil || again.GetText() != first.GetText() {
		t.Errorf("%v, %v, want %v", again, err, first)
	}
}

func TestRevokeBeforeDoRefusesIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 2 {
		if text, err := b.revokeLook(as(t, "orders", ""), "1", nil); err != nil || text != "" {
			t.Errorf("%q, %v, want that nothing was carried out", text, err)
		}
	}
	for range 2 {
		if _, err := b.client("orders").Look(moduletest.As(t, "usr_a"), &parityv1.LookRequest{Case: "1"}); connect.CodeOf(err) != connect.CodeFailedPrecondition || rpc.Reason(err) != "REVOKED" {
			t.Errorf("%v, want failed precondition with a reason", err)
		}
	}
	if n := b.effects(t); n != 0 {
		t.Errorf("%d effects of what was revoked", n)
	}
}

// A method that others fail says rather that it was revoked.
func TestKeptTellsOfRevocation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.outside = func() error { return rpc.Errorf(connect.CodeUnavailable, "DOWN", "down") }
	if err := b.store.Tx(as(t, "edge", "usr_a"), func(ctx context.Context, tx db.Tx[dialect.Driver]) error {
		_, _, err := idempotency.Revoke[parityv1.CallResponse](ctx, tx, call, "1")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client("edge").Call(moduletest.As(t, "usr_a"), request("1", "body")); rpc.Reason(err) != "REVOKED" {
		t.Errorf("%v, want that it was revoked", err)
	}
}

// An Undo that fails leaves no tombstone.
func TestRevokeIsUndoneWithItsTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	end := errors.New("as the test wants it")
	if _, err := b.revokeLook(as(t, "orders", ""), "1", end); !errors.Is(err, end) {
		t.Fatal(err)
	}
	if _, err := b.client("orders").Look(moduletest.As(t, "usr_a"), &parityv1.LookRequest{Case: "1"}); err != nil {
		t.Error(err)
	}
}

func TestRevokeWaitsForDoInFlight(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		end  error
		want string
	}{{"that succeeds", nil, "1"}, {"that fails", errors.New("as the test wants it"), ""}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			began, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
			b.before = func(context.Context) error {
				close(began)
				<-goOn
				return c.end
			}
			ctx, client := moduletest.As(t, "usr_a"), b.client("orders")
			go func() {
				_, err := client.Look(ctx, &parityv1.LookRequest{Case: "1"})
				done <- err
			}()
			<-began
			type outcome struct {
				text string
				err  error
			}
			revoked, undo := make(chan outcome, 1), as(t, "orders", "")
			go func() {
				text, err := b.revokeLook(undo, "1", nil)
				revoked <- outcome{text, err}
			}()
			moduletest.Eventually(t, "the Undo waits", func() bool {
				return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 1
			})
			close(goOn)
			if err := <-done; (err == nil) != (c.end == nil) {
				t.Errorf("the Do: %v", err)
			}
			if got := <-revoked; got.err != nil || got.text != c.want {
				t.Errorf("the Undo: %q, %v, want %q", got.text, got.err, c.want)
			}
			b.before = func(context.Context) error { return nil }
			if _, err := client.Look(ctx, &parityv1.LookRequest{Case: "1"}); (rpc.Reason(err) == "REVOKED") != (c.want == "") {
				t.Errorf("the Do again: %v", err)
			}
		})
	}
}

// An Undo finds the Do of the same caller, by the rule of the Do's method.
func TestRevokeHasTheScopeOfTheDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		method            *rpc.Method
		module, principal string
		revoked           bool
	}{
		{"public: another way in", call, "payments", "usr_a", true},
		{"public: another principal", call, "orders", "usr_b", false},
		{"internal: without a principal", look, "orders", "", true},
		{"internal: another module", look, "payments", "usr_a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			if err := b.store.Tx(as(t, c.module, c.principal), func(ctx context.Context, tx db.Tx[dialect.Driver]) error {
				_, _, err := idempotency.Revoke[parityv1.CallResponse](ctx, tx, c.method, "1")
				return err
			}); err != nil {
				t.Fatal(err)
			}
			ctx, client := moduletest.As(t, "usr_a"), b.client("orders")
			var err error
			if c.method == call {
				_, err = client.Call(ctx, request("1", "body"))
			} else {
				_, err = client.Look(ctx, &parityv1.LookRequest{Case: "1"})
			}
			if revoked := rpc.Reason(err) == "REVOKED"; revoked != c.revoked || (err == nil) == revoked {
				t.Errorf("%v, want that it was revoked: %v", err, c.revoked)
			}
		})
	}
}
