package orders_test

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	"github.com/cleave-go/cleave/modules/orders"
	realpayments "github.com/cleave-go/cleave/modules/payments"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// tills are payments, with a provider that answers, and what the model of the checkout takes it for.
type tills struct {
	run  string
	ctx  context.Context
	real paymentsv1connect.PaymentServiceClient
	bank orders.Bank
	ids  map[string]string // of the model's payments, at payments
}

func (w *tills) requestID(t *rapid.T, method string) string {
	return fmt.Sprint(method, rapid.IntRange(1, 4).Draw(t, method+" request id"), w.run)
}

// same requires that both have answered the same.
func (w *tills) same(t *rapid.T, got *paymentsv1.Payment, err error, want *paymentsv1.Payment, wantErr error) {
	if rpc.Reason(err) != rpc.Reason(wantErr) || (err == nil) != (wantErr == nil) {
		t.Fatalf("payments says %v, the model %v", err, wantErr)
	}
	if want != nil && w.ids[want.GetId()] == "" {
		w.ids[want.GetId()] = got.GetId()
	}
	if err == nil && (got.GetId() != w.ids[want.GetId()] || got.GetState() != want.GetState()) {
		t.Fatalf("payments answers %v, the model %v", got, want)
	}
}

// Authorize authorizes a payment under a new request id, one that was used, perhaps for another order, or one that is revoked.
func (w *tills) Authorize(t *rapid.T) {
	r := &paymentsv1.AuthorizePaymentRequest{
		RequestId: w.requestID(t, "authorize"), Reference: fmt.Sprint("ord_", rapid.IntRange(1, 2).Draw(t, "order")), Amount: euros(500),
		PaymentMethod: "pm_card_visa",
	}
	if r.GetReference() == "ord_2" {
		r.PaymentMethod = orders.NoMoney
	}
	got, err := w.real.AuthorizePayment(w.ctx, r)
	want, wantErr := w.bank.AuthorizePayment(w.ctx, r)
	w.same(t, got.GetPayment(), err, want.GetPayment(), wantErr)
}

// Capture captures a payment, or one that there is not.
func (w *tills) Capture(t *rapid.T) {
	requestID, own := w.requestID(t, "capture"), fmt.Sprint("pay_", rapid.IntRange(0, 4).Draw(t, "payment"))
	id := own
	if w.ids[own] != "" {
		id = w.ids[own]
	}
	got, err := w.real.CapturePayment(w.ctx, &paymentsv1.CapturePaymentRequest{RequestId: requestID, Id: id})
	want, wantErr := w.bank.CapturePayment(w.ctx, &paymentsv1.CapturePaymentRequest{RequestId: requestID, Id: own})
	w.same(t, got.GetPayment(), err, want.GetPayment(), wantErr)
}

// Cancel cancels a payment by the request id of its authorization, whether that has come or not.
func (w *tills) Cancel(t *rapid.T) {
	r := &paymentsv1.CancelPaymentRequest{RequestId: w.requestID(t, "cancel"), AuthorizeRequestId: w.requestID(t, "authorize")}
	got, err := w.real.CancelPayment(w.ctx, r)
	want, wantErr := w.bank.CancelPayment(w.ctx, r)
	w.same(t, got.GetPayment(), err, want.GetPayment(), wantErr)
	if got.GetCancellation() != want.GetCancellation() {
		t.Fatalf("payments answers %v, the model %v", got, want)
	}
}

// What the model of the checkout takes payments for, it is.
func TestModelOfTheBankIsPayments(t *testing.T) {
	t.Parallel()
	h := moduletest.Start(t, realpayments.Module)
	real := paymentsv1cleave.NewPaymentServiceClient(h.Caller("orders", paymentsv1cleave.PaymentService))
	ctx := moduletest.As(t, "")
	runs := 0
	rapid.Check(t, func(r *rapid.T) {
		runs++
		w := &tills{run: fmt.Sprint(" of run ", runs), ctx: ctx, real: real, bank: orders.NewBank(), ids: map[string]string{}}
		r.Repeat(map[string]func(*rapid.T){"Authorize": w.Authorize, "Capture": w.Capture, "Cancel": w.Cancel})
	})
}
