package payments

import (
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
)

func TestAuthorizeCaptureRefund(t *testing.T) {
	b := setup(t)
	payment := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000)
	if !strings.HasPrefix(payment.GetId(), "pay_") || payment.GetReference() != "ord_1" || payment.GetDeclineCode() != "" ||
		!proto.Equal(payment.GetAmount(), euros(1000)) || !proto.Equal(payment.GetCaptured(), euros(0)) {
		t.Errorf("authorized: %v", payment)
	}
	payment = b.must(t, isCaptured, capture, "c", payment.GetId(), 0)
	if !proto.Equal(payment.GetCaptured(), euros(1000)) {
		t.Errorf("captured: %v", payment)
	}
	payment = b.must(t, isPartiallyRefunded, refund, "r1", payment.GetId(), 300)
	if !proto.Equal(payment.GetRefunded(), euros(300)) {
		t.Errorf("partially refunded: %v", payment)
	}
	payment = b.must(t, isRefunded, refund, "r2", payment.GetId(), 0)
	if !proto.Equal(payment.GetRefunded(), euros(1000)) {
		t.Errorf("refunded: %v", payment)
	}
	if got := b.get(t, payment.GetId()); !proto.Equal(got, payment) {
		t.Errorf("GetPayment answers %v, the refund answered %v", got, payment)
	}
	if n := b.count(t, "SELECT count(*) FROM payments.sandbox_charge WHERE captured = 1000 AND refunded = 1000 AND currency = 'EUR'"); n != 1 {
		t.Errorf("the provider has %d such charges, want 1", n)
	}
}

func TestAnAuthorizationEndsOnce(t *testing.T) {
	b := setup(t)
	taken := b.must(t, isAuthorized, authorize, "a1", methodVisa, 1000).GetId()
	b.must(t, isCaptured, capture, "c1", taken, 0)
	b.must(t, isCaptured, capture, "c2", taken, 0)
	_, err := b.try(void, "v1", taken, 0)
	wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")

	freed := b.must(t, isAuthorized, authorize, "a2", methodVisa, 1000).GetId()
	_, err = b.try(refund, "r1", freed, 0)
	wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
	b.must(t, isVoided, void, "v2", freed, 0)
	b.must(t, isVoided, void, "v3", freed, 0)
	_, err = b.try(capture, "c3", freed, 0)
	wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")

	if captures, voids := b.done(t, capture), b.done(t, void); captures != 1 || voids != 1 {
		t.Errorf("the provider captured %d and voided %d times, want 1 and 1", captures, voids)
	}
}

func TestCaptureAndVoidAtOnce(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
	var wait sync.WaitGroup
	for i, requestID := range ids(20) {
		wait.Go(func() {
			k := []kind{capture, void}[i%2]
			if _, err := b.try(k, requestID, paymentID, 0); err != nil && connect.CodeOf(err) != connect.CodeFailedPrecondition {
				t.Errorf("%s: %v", k, err)
			}
		})
	}
	wait.Wait()
	if captures, voids := b.done(t, capture), b.done(t, void); captures+voids != 1 {
		t.Errorf("the provider captured %d and voided %d times, want one of them once", captures, voids)
	}
	if s := b.get(t, paymentID).GetState(); s != isCaptured && s != isVoided {
		t.Errorf("the payment is %s", s)
	}
}

func TestDeclined(t *testing.T) {
	b := setup(t)
	for method, code := range map[string]string{
		methodDeclined:          "card_declined",
		methodInsufficientFunds: "insufficient_funds",
		methodExpired:           "expired_card",
		"pm_of_nobody":          "invalid_payment_method",
	} {
		payment := b.must(t, isDeclined, authorize, method, method, 1000)
		if payment.GetDeclineCode() != code {
			t.Errorf("%s is declined with %q, want %q", method, payment.GetDeclineCode(), code)
		}
		for _, k := range []kind{capture, void, refund} {
			_, err := b.try(k, method, payment.GetId(), 0)
			wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
		}
		again := b.must(t, isDeclined, authorize, method, method, 1000)
		if !proto.Equal(again, payment) {
			t.Errorf("repeated, the answer is %v, it was %v", again, payment)
		}
	}
}

func TestARepetitionGetsThePaymentAsItIsNow(t *testing.T) {
	b := setup(t)
	payment := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000)
	if again := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000); !proto.Equal(again, payment) {
		t.Errorf("repeated, the answer is %v, it was %v", again, payment)
	}
	b.must(t, isCaptured, capture, "c", payment.GetId(), 0)
	if again := b.must(t, isCaptured, authorize, "a", methodVisa, 1000); again.GetId() != payment.GetId() {
		t.Errorf("repeated after the capture, the payment is %s, it was %s", again.GetId(), payment.GetId())
	}
	if other := b.must(t, isAuthorized, authorize, "b", methodVisa, 1000); other.GetId() == payment.GetId() {
		t.Error("a new request id of the same reference got the old payment")
	}
}

func TestARequestIDIsOfOneRequest(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
	_, err := b.try(authorize, "a", methodVisa, 1001)
	wantError(t, err, connect.CodeAlreadyExists, "REQUEST_ID_REUSED")
	b.must(t, isCaptured, capture, "c", paymentID, 0)
	b.must(t, isPartiallyRefunded, refund, "r", paymentID, 100)
	_, err = b.try(refund, "r", paymentID, 200)
	wantError(t, err, connect.CodeAlreadyExists, "REQUEST_ID_REUSED")
	if payment := b.get(t, paymentID); payment.GetRefunded().GetAmount() != 100 {
		t.Errorf("refunded: %v", payment)
	}
}

func TestConcurrentDuplicatesMoveMoneyOnce(t *testing.T) {
	for _, method := range []string{methodVisa, methodChargeThenTimeout, methodTimeoutThenCharge} {
		t.Run(method, func(t *testing.T) {
			b := setup(t)
			// all runs a call 50 times at once and returns the payment, which is the same for all whose outcome is known.
			all := func(k kind, target string, want paymentsv1.PaymentState) (paymentID string) {
				var wait sync.WaitGroup
				answers := make([]*paymentsv1.Payment, 50)
				for i := range answers {
					wait.Go(func() {
						var err error
						if answers[i], err = b.try(k, "same", target, 1000); err != nil {
							t.Errorf("%s: %v", k, err)
						}
					})
				}
				wait.Wait()
				for _, payment := range answers {
					if payment.GetId() != answers[0].GetId() {
						t.Errorf("%s: duplicates got %v and %v", k, answers[0], payment)
					}
					if s := payment.GetState(); s != want && (s != isUnknown || method == methodVisa) {
						t.Errorf("%s: got %v", k, payment)
					}
				}
				paymentID = answers[0].GetId()
				if s := b.get(t, paymentID).GetState(); s != want {
					t.Errorf("after %s the payment is %s, not %s", k, s, want)
				}
				if n := b.done(t, k); n != 1 {
					t.Errorf("the provider did %s %d times", k, n)
				}
				return paymentID
			}
			paymentID := all(authorize, method, isAuthorized)
			all(capture, paymentID, isCaptured)
			all(refund, paymentID, isRefunded)
			if n := b.count(t, "SELECT count(*) FROM payments.sandbox_charge"); n != 1 {
				t.Errorf("the provider has %d charges", n)
			}
		})
	}
}

func TestRefundsNeverExceedTheCapture(t *testing.T) {
	for _, method := range []string{methodVisa, methodTimeoutThenCharge} {
		t.Run(method, func(t *testing.T) {
			b := setup(t)
			_, err := b.try(authorize, "a", method, 1000)
			if err != nil {
				t.Fatal(err)
			}
			paymentID := b.must(t, isAuthorized, authorize, "a", method, 1000).GetId()
			if _, err := b.try(capture, "c", paymentID, 0); err != nil {
				t.Fatal(err)
			}
			b.must(t, isCaptured, capture, "c", paymentID, 0)

			requests := ids(20)
			granted := make([]bool, len(requests))
			var wait sync.WaitGroup
			for i, requestID := range requests {
				wait.Go(func() {
					_, err := b.try(refund, requestID, paymentID, 300)
					if granted[i] = err == nil; !granted[i] {
						wantError(t, err, connect.CodeFailedPrecondition, "REFUND_EXCEEDS_CAPTURE")
					}
				})
			}
			wait.Wait()
			var refunds int
			for i, requestID := range requests {
				if granted[i] { // Where the first request was lost, the refund is still unknown.
					refunds++
					if _, err := b.try(refund, requestID, paymentID, 300); err != nil {
						t.Error(err)
					}
				}
			}
			payment := b.get(t, paymentID)
			if refunds != 3 || payment.GetState() != isPartiallyRefunded || payment.GetRefunded().GetAmount() != 900 {
				t.Errorf("%d refunds were granted of %v", refunds, payment)
			}
			if sum := b.count(t, "SELECT refunded FROM payments.sandbox_charge"); sum != 900 {
				t.Errorf("the provider returned %d, want 900", sum)
			}
		})
	}
}

func TestARefundIsInTheCurrencyOfThePayment(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
	b.must(t, isCaptured, capture, "c", paymentID, 0)
	_, err := b.RefundPayment(b.ctx, &paymentsv1.RefundPaymentRequest{
		RequestId: "r", Id: paymentID, Amount: &typev1.Money{Amount: 100, Currency: "JPY"},
	})
	wantError(t, err, connect.CodeInvalidArgument, "CURRENCY_MISMATCH")
	_, err = b.try(refund, "r", paymentID, 1001)
	wantError(t, err, connect.CodeFailedPrecondition, "REFUND_EXCEEDS_CAPTURE")
	// What failed was not claimed: the id is free for the right request.
	b.must(t, isRefunded, refund, "r", paymentID, 1000)
	b.must(t, isRefunded, refund, "rest", paymentID, 0)
}

func TestAPaymentThatIsNotThere(t *testing.T) {
	b := setup(t)
	_, err := b.GetPayment(b.ctx, &paymentsv1.GetPaymentRequest{Id: "pay_0"})
	wantError(t, err, connect.CodeNotFound, "")
	for _, k := range []kind{capture, void, refund} {
		_, err := b.try(k, "x", "pay_0", 0)
		wantError(t, err, connect.CodeNotFound, "")
	}
}

// Whoever has money refunded learns what became of that, and not only of the payment.
func TestRefundTellsWhatBecameOfIt(t *testing.T) {
	b := setup(t)
	ask := func(requestID, paymentID string) *paymentsv1.Refund {
		t.Helper()
		answer, err := b.RefundPayment(b.ctx, &paymentsv1.RefundPaymentRequest{RequestId: requestID, Id: paymentID, Amount: euros(300)})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetRefund()
	}
	paid := func(requestID, method string) string {
		t.Helper()
		if _, err := b.try(authorize, requestID, method, 1000); err != nil {
			t.Fatal(err)
		}
		paymentID := b.must(t, isAuthorized, authorize, requestID, method, 1000).GetId()
		if _, err := b.try(capture, requestID, paymentID, 0); err != nil {
			t.Fatal(err)
		}
		b.must(t, isCaptured, capture, requestID, paymentID, 0)
		return paymentID
	}
	good, lost := paid("good", methodVisa), paid("lost", methodTimeoutThenCharge)
	first := ask("r", good)
	if first.GetState() != paymentsv1.RefundState_REFUND_STATE_SETTLED || first.GetAmount().GetAmount() != 300 {
		t.Errorf("the refund is %v, want it settled", first)
	}
	if again := ask("r", good); again.GetId() != first.GetId() || again.GetState() != first.GetState() {
		t.Errorf("asked again the refund is %v, want %v", again, first)
	}
	if got := ask("l", lost); got.GetState() != paymentsv1.RefundState_REFUND_STATE_PENDING {
		t.Errorf("while the provider has not answered the refund is %v", got)
	}
	if got := ask("l", lost); got.GetState() != paymentsv1.RefundState_REFUND_STATE_SETTLED {
		t.Errorf("when the provider has answered the refund is %v", got)
	}
	b.exec(t, "UPDATE payments.sandbox_charge SET refunded = captured")
	if got := ask("no", good); got.GetState() != paymentsv1.RefundState_REFUND_STATE_FAILED || got.GetDeclineCode() == "" {
		t.Errorf("when the provider has refused the refund is %v", got)
	}
}
