package payments

import (
	"context"
	"errors"
	"log/slog"

	"connectrpc.com/connect"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/modules/payments/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/rpc"
)

// service implements PaymentService. A mutating method writes an attempt down, asks the provider, and stores the outcome: see perform.
type service struct {
	store    *db.Store[*ent.Client]
	provider provider
	log      *slog.Logger
	// repeating holds a value for each caller who asks again for what the provider has left unanswered.
	repeating chan struct{}
}

func (s *service) AuthorizePayment(ctx context.Context, r *paymentsv1.AuthorizePaymentRequest) (*paymentsv1.AuthorizePaymentResponse, error) {
	payment, err := s.perform(ctx, r, func(ctx context.Context, tx tx) (*begun, error) {
		row := &ent.Payment{
			ID: id.New("pay"), Reference: r.GetReference(), State: string(authorizing), Amount: r.GetAmount().GetAmount(),
			Currency: r.GetAmount().GetCurrency(), PaymentMethod: r.GetPaymentMethod(),
			Caller: rpc.MetadataOf(ctx).Caller, RequestID: r.GetRequestId(),
		}
		return insertPayment(tx, row), nil
	})
	if isTaken(err) { // Its answer is not kept any more, but the payment is: there is no second one.
		return nil, rpc.Errorf(connect.CodeAlreadyExists, "REQUEST_ID_REUSED", "request_id %q was used long ago: choose a new one", r.GetRequestId())
	}
	return &paymentsv1.AuthorizePaymentResponse{Payment: payment}, err
}

func (s *service) CapturePayment(ctx context.Context, r *paymentsv1.CapturePaymentRequest) (*paymentsv1.CapturePaymentResponse, error) {
	payment, err := s.perform(ctx, r, func(ctx context.Context, tx tx) (*begun, error) {
		if db.FirstTry(ctx) {
			return beginCapture(tx, r.GetId()), nil
		}
		row, err := lockPayment(ctx, tx, r.GetId())
		if err != nil {
			return nil, err
		}
		a, err := paymentOf(row.Payment).toCapture()
		if err != nil {
			return nil, failedPrecondition(row.ID, err)
		}
		return begin(tx, row, a)
	})
	return &paymentsv1.CapturePaymentResponse{Payment: payment}, err
}

func (s *service) VoidPayment(ctx context.Context, r *paymentsv1.VoidPaymentRequest) (*paymentsv1.VoidPaymentResponse, error) {
	payment, err := s.perform(ctx, r, func(ctx context.Context, tx tx) (*begun, error) {
		row, err := lockPayment(ctx, tx, r.GetId())
		if err != nil {
			return nil, err
		}
		a, err := paymentOf(row.Payment).toVoid()
		if err != nil {
			return nil, failedPrecondition(row.ID, err)
		}
		return begin(tx, row, a)
	})
	return &paymentsv1.VoidPaymentResponse{Payment: payment}, err
}

func (s *service) RefundPayment(ctx context.Context, r *paymentsv1.RefundPaymentRequest) (*paymentsv1.RefundPaymentResponse, error) {
	row, written, err := s.attempt(ctx, r, func(ctx context.Context, tx tx) (*begun, error) {
		row, err := lockPayment(ctx, tx, r.GetId())
		if err != nil {
			return nil, err
		}
		if currency := r.GetAmount().GetCurrency(); r.GetAmount() != nil && currency != row.Currency {
			return nil, rpc.Errorf(connect.CodeInvalidArgument, "CURRENCY_MISMATCH", "payment %s is in %s, not %s", row.ID, row.Currency, currency)
		}
		a, err := paymentOf(row.Payment).toRefund(r.GetAmount().GetAmount())
		if err != nil {
			return nil, failedPrecondition(row.ID, err)
		}
		return begin(tx, row, a)
	})
	if err != nil {
		return nil, err
	}
	return &paymentsv1.RefundPaymentResponse{Payment: message(row), Refund: &paymentsv1.Refund{
		Id: written.ID, State: outcome(written.Outcome).refundState(), Amount: money(written.Amount, row.Currency), DeclineCode: written.DeclineCode,
	}}, nil
}

func (s *service) GetPayment(ctx context.Context, r *paymentsv1.GetPaymentRequest) (*paymentsv1.GetPaymentResponse, error) {
	row, err := s.store.Ent.Payment.Get(ctx, r.GetId())
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("payment", r.GetId())
	}
	if err != nil {
		return nil, db.Unavailable(err)
	}
	return &paymentsv1.GetPaymentResponse{Payment: message(row)}, nil
}

// failedPrecondition makes of a broken rule the error of a method.
func failedPrecondition(paymentID string, err error) error {
	reason := "PAYMENT_STATE"
	if errors.As(err, new(errTooMuch)) {
		reason = "REFUND_EXCEEDS_CAPTURE"
	}
	return rpc.Errorf(connect.CodeFailedPrecondition, reason, "payment %s: %v", paymentID, err)
}
