package payments

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/wrapperspb"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

// CancelPayment writes the wish down, together with the attempt that comes next, and goes on from there. Whatever is not known by then
// is left to the sweep: settle finds the wish.
func (s *service) CancelPayment(ctx context.Context, r *paymentsv1.CancelPaymentRequest) (*paymentsv1.CancelPaymentResponse, error) {
	var row locked
	var next *begun
	err := s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		row, next = locked{}, nil
		repeated := true
		kept, err := idempotency.Once(ctx, tx, r, func() (*wrapperspb.StringValue, error) {
			repeated = false
			attempt, done, err := idempotency.Revoke[wrapperspb.StringValue](ctx, tx, authorizePayment, r.GetAuthorizeRequestId())
			if err == nil && !done {
				attempt, err = authorizationOf(ctx, tx, r.GetAuthorizeRequestId())
			}
			return attempt, err
		})
		if err != nil || kept.GetValue() == "" {
			return err
		}
		authorization, err := tx.Ent.Attempt.Get(ctx, kept.GetValue())
		if err != nil {
			return fmt.Errorf("load attempt %s: %w", kept.GetValue(), err)
		}
		if row, err = lockPayment(ctx, tx, authorization.PaymentID); err != nil {
			return err
		}
		// What the provider has refused is tried again by somebody who wants that, not by a repetition.
		if !repeated && row.Cancellation != string(cancelRequested) {
			row.Cancellation = string(cancelRequested)
			if err := updatePayment(tx, row); err != nil {
				return err
			}
		}
		next, err = beginCancel(tx, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	payment := row.Payment
	if payment == nil {
		return &paymentsv1.CancelPaymentResponse{Cancellation: paymentsv1.Cancellation_CANCELLATION_DONE}, nil
	}
	if next != nil {
		if payment, err = s.finishSoon(ctx, next); err != nil {
			return nil, err
		}
	}
	return &paymentsv1.CancelPaymentResponse{Cancellation: paymentOf(payment).cancelled(), Payment: message(payment)}, nil
}

// authorizationOf returns the attempt that an AuthorizePayment of the caller's wrote down, or an empty value if none did. It finds also what
// was authorized so long ago that the request is not kept any more.
func authorizationOf(ctx context.Context, tx tx, requestID string) (*wrapperspb.StringValue, error) {
	var attempt wrapperspb.StringValue
	err := tx.QueryRow(ctx, `SELECT id FROM attempt WHERE kind = $3 AND payment_id =
		(SELECT id FROM payment WHERE caller = $1 AND request_id = $2 AND request_id <> '')`,
		rpc.MetadataOf(ctx).Caller, requestID, string(authorize)).Scan(&attempt.Value)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("look for the payment of request %q: %w", requestID, err)
	}
	return &attempt, nil
}

// authorizePayment is the method that CancelPayment undoes.
var authorizePayment = paymentsv1cleave.PaymentService.Methods[slices.IndexFunc(paymentsv1cleave.PaymentService.Methods, func(m *rpc.Method) bool {
	return m.Procedure == paymentsv1connect.PaymentServiceAuthorizePaymentProcedure
})]
