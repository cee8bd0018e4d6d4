package payments

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/payments/internal/ent"
	attempttable "github.com/cleave-go/cleave/modules/payments/internal/ent/attempt"
	paymenttable "github.com/cleave-go/cleave/modules/payments/internal/ent/payment"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

type tx = db.Tx[*ent.Client]

// lockPayment locks a payment and loads its attempts. The attempts of a payment change only under its lock.
func lockPayment(ctx context.Context, tx tx, paymentID string) (*ent.Payment, error) {
	row, err := tx.Ent.Payment.Query().Where(paymenttable.ID(paymentID)).ForUpdate().Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("payment", paymentID)
	}
	if err != nil {
		return nil, fmt.Errorf("lock payment %s: %w", paymentID, err)
	}
	if row.Edges.Attempts, err = row.QueryAttempts().Order(attempttable.ByID()).All(ctx); err != nil {
		return nil, fmt.Errorf("load attempts of payment %s: %w", paymentID, err)
	}
	return row, nil
}

// insertAttempt writes a new attempt down and moves the locked payment on.
func insertAttempt(ctx context.Context, tx tx, row *ent.Payment, a attempt) error {
	if err := tx.Ent.Attempt.Create().SetID(a.id).SetPaymentID(row.ID).SetKind(string(a.kind)).SetAmount(a.amount).
		SetOutcome(string(a.outcome)).Exec(ctx); err != nil {
		return fmt.Errorf("write attempt %s down: %w", a.id, err)
	}
	p := paymentOf(row)
	p.attempts = append(p.attempts, a)
	_, err := updatePayment(ctx, tx, row, p, tx.Ent.Payment.UpdateOneID(row.ID))
	return err
}

// updateAttempt stores what came of an attempt and moves the locked payment on. It returns both as they are then. An attempt whose
// outcome is known already stays as it is.
func updateAttempt(ctx context.Context, tx tx, row *ent.Payment, attemptID string, o outcome, got answer) (*ent.Attempt, error) {
	for i, a := range row.Edges.Attempts {
		if a.ID != attemptID {
			continue
		}
		a.Edges.Payment = row
		if from := outcome(a.Outcome); !from.open() || from == o {
			return a, nil
		}
		changed, err := tx.Ent.Attempt.UpdateOneID(a.ID).SetOutcome(string(o)).SetDeclineCode(got.declineCode).Save(ctx)
		if err != nil {
			return nil, fmt.Errorf("store outcome of attempt %s: %w", a.ID, err)
		}
		p := paymentOf(row)
		p.attempts[i].outcome = o
		update := tx.Ent.Payment.UpdateOneID(row.ID)
		if !o.open() {
			update.SetDeclineCode(got.declineCode)
		}
		if kind(a.Kind) == authorize {
			update.SetChargeID(got.chargeID)
		}
		changed.Edges.Payment, err = updatePayment(ctx, tx, row, p, update)
		return changed, err
	}
	return nil, fmt.Errorf("payment %s has no attempt %s", row.ID, attemptID)
}

// updatePayment stores what follows from the attempts.
func updatePayment(ctx context.Context, tx tx, row *ent.Payment, p payment, update *ent.PaymentUpdateOne) (*ent.Payment, error) {
	from, next := state(row.State), p.state()
	if next != from && !from.canBecome(next) {
		return nil, fmt.Errorf("payment %s is %s and cannot become %s", row.ID, from, next)
	}
	changed, err := update.SetState(string(next)).SetCaptured(p.sum(capture, succeeded)).SetRefunded(p.sum(refund, succeeded)).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("set payment %s %s: %w", row.ID, next, err)
	}
	return changed, nil
}

// paymentOf maps a payment with its attempts to what the rules know of it.
func paymentOf(row *ent.Payment) payment {
	p := payment{amount: row.Amount}
	for _, a := range row.Edges.Attempts {
		p.attempts = append(p.attempts, attempt{id: a.ID, kind: kind(a.Kind), amount: a.Amount, outcome: outcome(a.Outcome)})
	}
	return p
}

// message maps a payment.
func message(row *ent.Payment) *paymentsv1.Payment {
	money := func(amount int64) *typev1.Money { return &typev1.Money{Amount: amount, Currency: row.Currency} }
	return &paymentsv1.Payment{
		Id: row.ID, Reference: row.Reference, State: messageStates[state(row.State)],
		Amount: money(row.Amount), Captured: money(row.Captured), Refunded: money(row.Refunded), DeclineCode: row.DeclineCode,
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime),
	}
}
