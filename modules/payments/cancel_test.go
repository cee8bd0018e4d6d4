package payments

import (
	"context"
	"sync"
	"testing"

	"connectrpc.com/connect"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/module"
)

const (
	isDone     = paymentsv1.Cancellation_CANCELLATION_DONE
	isUnderWay = paymentsv1.Cancellation_CANCELLATION_UNDER_WAY
	wasRefused = paymentsv1.Cancellation_CANCELLATION_REFUSED
)

// cancel cancels the authorization "a", which has to come as far as want, and returns the payment.
func (b *bundle) cancel(t *testing.T, want paymentsv1.Cancellation, requestID string) *paymentsv1.Payment {
	t.Helper()
	answer, err := b.CancelPayment(b.ctx, &paymentsv1.CancelPaymentRequest{RequestId: requestID, AuthorizeRequestId: "a"})
	if err != nil {
		t.Fatalf("cancel: %v", err)
	}
	if answer.GetCancellation() != want {
		t.Fatalf("the cancellation is %s, not %s: %v", answer.GetCancellation(), want, answer.GetPayment())
	}
	return answer.GetPayment()
}

// settled checks that nothing is charged, by the books and at the provider, and that no money lies where it is only passing through.
func (b *bundle) settled(t *testing.T) {
	t.Helper()
	for what, query := range map[string]string{
		"payments are charged":              "SELECT count(*) FROM payments.payment WHERE captured <> refunded OR state IN ('authorized', 'unknown')",
		"charges of the provider":           "SELECT count(*) FROM payments.sandbox_charge WHERE captured <> refunded OR status = 'authorized'",
		"accounts are not empty":            "SELECT count(*) FROM (SELECT FROM payments.ledger_entry WHERE account <> 'sales' AND account <> 'refunds' GROUP BY account HAVING sum(amount) <> 0) a",
		"attempts are still to be asked":    "SELECT count(*) FROM payments.attempt WHERE next_time IS NOT NULL",
		"things the provider did too often": "SELECT count(*) - count(DISTINCT (charge_id, kind)) FROM payments.sandbox_operation WHERE kind <> 'refund'",
	} {
		if n := b.count(t, query); n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
}

func TestCancel(t *testing.T) {
	for _, c := range []struct {
		name, method string
		// before happens to the payment before it is cancelled.
		before func(t *testing.T, b *bundle, paymentID string)
		state  paymentsv1.PaymentState
	}{
		{name: "authorized", method: methodVisa, state: isVoided},
		{name: "declined", method: methodDeclined, state: isDeclined},
		{name: "captured", method: methodVisa, state: isRefunded, before: func(t *testing.T, b *bundle, paymentID string) {
			b.must(t, isCaptured, capture, "c", paymentID, 0)
		}},
		{name: "partially refunded", method: methodVisa, state: isRefunded, before: func(t *testing.T, b *bundle, paymentID string) {
			b.must(t, isCaptured, capture, "c", paymentID, 0)
			b.must(t, isPartiallyRefunded, refund, "r", paymentID, 300)
		}},
		{name: "refunded", method: methodVisa, state: isRefunded, before: func(t *testing.T, b *bundle, paymentID string) {
			b.must(t, isCaptured, capture, "c", paymentID, 0)
			b.must(t, isRefunded, refund, "r", paymentID, 0)
		}},
		{name: "voided", method: methodVisa, state: isVoided, before: func(t *testing.T, b *bundle, paymentID string) {
			b.must(t, isVoided, void, "v", paymentID, 0)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setup(t)
			payment, err := b.try(authorize, "a", c.method, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if c.before != nil {
				c.before(t, b, payment.GetId())
			}
			for _, requestID := range []string{"x", "x", "y"} {
				if s := b.cancel(t, isDone, requestID).GetState(); s != c.state {
					t.Errorf("cancelled, the payment is %s, not %s", s, c.state)
				}
			}
			if s := b.must(t, c.state, authorize, "a", c.method, 1000); s.GetId() != payment.GetId() {
				t.Errorf("authorized again, the payment is %s, it was %s", s.GetId(), payment.GetId())
			}
			if c.state == isVoided {
				_, err := b.try(capture, "late", payment.GetId(), 0)
				wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
			}
			b.settled(t)
		})
	}
}

func TestCancelBeforeAuthorize(t *testing.T) {
	b := setup(t)
	for range 2 {
		if payment := b.cancel(t, isDone, "x"); payment != nil {
			t.Errorf("got %v, want no payment", payment)
		}
	}
	_, err := b.try(authorize, "a", methodVisa, 1000)
	wantError(t, err, connect.CodeFailedPrecondition, "REVOKED")
	if payment := b.cancel(t, isDone, "y"); payment != nil {
		t.Errorf("got %v, want no payment", payment)
	}
	if n := b.count(t, "SELECT count(*) FROM payments.sandbox_request"); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
}

// TestCancelMonthsLater cancels what was authorized so long ago that nobody keeps the request any more.
func TestCancelMonthsLater(t *testing.T) {
	for _, state := range []paymentsv1.PaymentState{isAuthorized, isCaptured} {
		t.Run(state.String(), func(t *testing.T) {
			b := setup(t)
			payment := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000)
			if state == isCaptured {
				b.must(t, isCaptured, capture, "c", payment.GetId(), 0)
			}
			for _, table := range []string{"payment", "attempt", "cleave_request", "sandbox_charge"} {
				b.exec(t, "UPDATE payments."+table+" SET create_time = create_time - interval '7 months'")
			}
			if n, err := idempotency.Purge(b.ctx, b.database.Pool(), 100); err != nil || n == 0 {
				t.Fatalf("%d requests were forgotten, %v", n, err)
			}
			_, err := b.try(authorize, "a", methodVisa, 1000)
			wantError(t, err, connect.CodeAlreadyExists, "REQUEST_ID_REUSED")
			for _, requestID := range []string{"x", "x", "y"} {
				if got := b.cancel(t, isDone, requestID); got.GetId() != payment.GetId() {
					t.Errorf("cancelled payment %q, want %s", got.GetId(), payment.GetId())
				}
			}
			_, err = b.try(authorize, "a", methodVisa, 1000)
			wantError(t, err, connect.CodeFailedPrecondition, "REVOKED")
			b.settled(t)
			if n := b.count(t, "SELECT count(*) FROM payments.sandbox_charge"); n != 1 {
				t.Errorf("the provider has %d charges, want 1", n)
			}
		})
	}
}

// TestSuccessAfterCancel lets what the provider did become known after the payment was cancelled, by the caller or by the sweep alone.
func TestSuccessAfterCancel(t *testing.T) {
	for _, method := range []string{methodChargeThenTimeout, methodTimeoutThenCharge} {
		for _, at := range []kind{authorize, capture, void, refund} {
			t.Run(method+" "+string(at), func(t *testing.T) {
				for _, alone := range []bool{false, true} {
					name := "the caller comes again"
					if alone {
						name = "nobody comes again"
					}
					t.Run(name, func(t *testing.T) {
						b := setup(t)
						paymentID := b.must(t, isUnknown, authorize, "a", method, 1000).GetId()
						if at != authorize {
							b.must(t, isAuthorized, authorize, "a", method, 1000)
						}
						if at == void {
							b.must(t, isUnknown, void, "v", paymentID, 0)
						}
						if at == capture || at == refund {
							b.must(t, isUnknown, capture, "c", paymentID, 0)
						}
						if at == refund {
							b.must(t, isCaptured, capture, "c", paymentID, 0)
							b.must(t, isUnknown, refund, "r", paymentID, 400)
						}
						if at == void { // It was what the payment needed.
							b.cancel(t, isDone, "x")
							b.settled(t)
							return
						}
						if alone {
							b.exec(t, "UPDATE payments.payment SET cancellation = 'requested'") // The process was killed then.
						} else {
							b.cancel(t, isUnderWay, "x") // What is asked for next is not answered at first either.
						}
						_, err := b.try(capture, "late", paymentID, 0)
						if at == authorize {
							wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
						}
						if alone {
							b.sweep(t)
							b.sweep(t)
						} else {
							b.cancel(t, isDone, "x")
						}
						want := isRefunded
						if at == authorize {
							want = isVoided
						}
						if s := b.get(t, paymentID).GetState(); s != want {
							t.Errorf("the payment is %s, not %s", s, want)
						}
						b.settled(t)
					})
				}
			})
		}
	}
}

// refusing is a provider that gives nothing free or back for a while.
type refusing struct {
	provider
	over *bool
}

func (r refusing) void(ctx context.Context, key, chargeID string) (answer, error) {
	if *r.over {
		return r.provider.void(ctx, key, chargeID)
	}
	return answer{chargeID: chargeID, declineCode: "not_today"}, nil
}

func TestARefusedCancellationIsSeen(t *testing.T) {
	var over bool
	b := setupWith(t, func(host *module.Host) provider { return refusing{newSandbox("", host.DB.Pool()), &over} })
	paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
	payment := b.cancel(t, wasRefused, "x")
	if payment.GetState() != isAuthorized || payment.GetDeclineCode() != "not_today" {
		t.Errorf("refused, the payment is %v", payment)
	}
	_, err := b.try(capture, "c", paymentID, 0)
	wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
	over = true
	b.sweep(t)
	b.cancel(t, wasRefused, "x") // A repetition is no new try.
	if n := b.count(t, "SELECT count(*) FROM payments.attempt WHERE kind = 'void'"); n != 1 {
		t.Errorf("%d voids were tried, want 1", n)
	}
	b.cancel(t, isDone, "y")
	b.settled(t)
}

// TestCancelAtOnceWithTheRest lets a cancellation meet the calls that it cancels. Whoever comes first, nothing is charged in the end.
func TestCancelAtOnceWithTheRest(t *testing.T) {
	for _, method := range []string{methodVisa, methodChargeThenTimeout} {
		t.Run(method, func(t *testing.T) {
			b := setup(t)
			var wait sync.WaitGroup
			for i, requestID := range ids(12) {
				wait.Go(func() {
					if i%2 == 0 {
						payment, err := b.try(authorize, "a", method, 1000)
						if err == nil {
							_, err = b.try(capture, "c", payment.GetId(), 0)
						}
						if err != nil && connect.CodeOf(err) != connect.CodeFailedPrecondition {
							t.Error(err)
						}
					} else if _, err := b.CancelPayment(b.ctx, &paymentsv1.CancelPaymentRequest{RequestId: requestID, AuthorizeRequestId: "a"}); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			for range 3 {
				b.sweep(t)
			}
			b.cancel(t, isDone, "last")
			b.settled(t)
		})
	}
}
