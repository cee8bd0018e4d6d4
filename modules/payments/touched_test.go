package payments

import (
	"context"
	"testing"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// What goes well writes to a payment without reading it first, and without its lock while the provider is asked. Here somebody comes
// between.

// TestACaptureThatWaitedSeesTheVoid has a void written down while a capture waits for the lock of the payment, which is authorized before
// and after.
func TestACaptureThatWaitedSeesTheVoid(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
	tx, err := b.admin.Begin(b.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	for _, statement := range []string{
		"UPDATE payments.payment SET update_time = now() WHERE id = $1",
		"INSERT INTO payments.attempt (id, payment_id, kind, amount, outcome, next_time) VALUES ('att_void', $1, 'void', 1000, 'pending', now())",
	} {
		if _, err := tx.Exec(b.ctx, statement, paymentID); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := b.try(capture, "c", paymentID, 0)
		ended <- err
	}()
	moduletest.Eventually(t, "the capture waits", func() bool {
		return b.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 1
	})
	if err := tx.Commit(b.ctx); err != nil {
		t.Fatal(err)
	}
	wantError(t, <-ended, connect.CodeFailedPrecondition, "PAYMENT_STATE")
	b.sweep(t)
	if got := b.get(t, paymentID).GetState(); got != isVoided || b.done(t, capture) != 0 {
		t.Errorf("the payment is %s and was captured %d times, want that it is voided", got, b.done(t, capture))
	}
}

// meddled is a provider in whose calls something happens before the caller has the answer.
type meddled struct {
	provider
	meanwhile func(kind)
}

func (m meddled) authorize(ctx context.Context, key string, a authorization) (answer, error) {
	defer m.meanwhile(authorize)
	return m.provider.authorize(ctx, key, a)
}

func (m meddled) capture(ctx context.Context, key, chargeID string) (answer, error) {
	defer m.meanwhile(capture)
	return m.provider.capture(ctx, key, chargeID)
}

// TestAWishThatComesWhileTheProviderIsAsked has a payment cancelled by somebody who gets no further than that.
func TestAWishThatComesWhileTheProviderIsAsked(t *testing.T) {
	for _, at := range []kind{authorize, capture} {
		t.Run(string(at), func(t *testing.T) {
			var b *bundle
			b = setupWith(t, func(host *module.Host) provider {
				return meddled{newSandbox("", host.DB.Pool()), func(asked kind) {
					if asked == at {
						b.exec(t, "UPDATE payments.payment SET cancellation = 'requested'")
					}
				}}
			})
			if at == authorize {
				b.must(t, isVoided, authorize, "a", methodVisa, 1000)
			} else {
				paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
				b.must(t, isRefunded, capture, "c", paymentID, 0)
			}
			b.settled(t)
		})
	}
}
