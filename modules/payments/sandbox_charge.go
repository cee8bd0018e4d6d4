package payments

import (
	"context"
	"fmt"

	"github.com/cleave-go/cleave/modules/payments/internal/ent"
	"github.com/cleave-go/cleave/modules/payments/internal/ent/sandboxcharge"
	"github.com/cleave-go/cleave/platform/id"
)

// The words of the sandbox's tables. An operation that did not succeed has the reason as its outcome.
const (
	chargeAuthorized = "authorized"
	chargeCaptured   = "captured"
	chargeVoided     = "voided"
	chargeDeclined   = "declined"

	operationSucceeded = "succeeded"
)

// operate does what a call asks for, or refuses it, and logs what came of it.
func operate(ctx context.Context, tx tx, call sandboxCall, script script) (answer, error) {
	var row *ent.SandboxCharge
	var refusal string
	var err error
	if call.kind == authorize {
		row, refusal, err = createCharge(ctx, tx, call.authorization, script)
	} else {
		row, refusal, err = changeCharge(ctx, tx, call)
	}
	if err != nil {
		return answer{}, err
	}
	log := tx.Ent.SandboxOperation.Create().SetID(call.key).SetKind(string(call.kind)).SetChargeID(row.ID).
		SetAmount(row.Amount).SetOutcome(operationSucceeded)
	if call.kind == refund {
		log.SetAmount(call.amount)
	}
	if refusal != "" {
		log.SetOutcome(refusal)
	}
	done, err := log.Save(ctx)
	if err != nil {
		return answer{}, fmt.Errorf("log operation: %w", err)
	}
	return answerOf(done), nil
}

// answerOf returns what a logged operation is answered with.
func answerOf(row *ent.SandboxOperation) answer {
	if row.Outcome == operationSucceeded {
		return answer{chargeID: row.ChargeID}
	}
	return answer{chargeID: row.ChargeID, declineCode: row.Outcome}
}

// createCharge makes a charge of an authorization. One that the script refuses is kept too.
func createCharge(ctx context.Context, tx tx, a authorization, script script) (row *ent.SandboxCharge, refusal string, err error) {
	status := chargeAuthorized
	if script.declineCode != "" {
		status = chargeDeclined
	}
	row, err = tx.Ent.SandboxCharge.Create().SetID(id.New("sbx")).SetReference(a.reference).SetPaymentMethod(a.method).
		SetAmount(a.amount).SetCurrency(a.currency).SetStatus(status).Save(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("create charge: %w", err)
	}
	return row, script.declineCode, nil
}

// changeCharge captures, voids or refunds a charge, if it can be.
func changeCharge(ctx context.Context, tx tx, call sandboxCall) (row *ent.SandboxCharge, refusal string, err error) {
	row, err = tx.Ent.SandboxCharge.Query().Where(sandboxcharge.ID(call.chargeID)).ForUpdate().Only(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("lock charge %s: %w", call.chargeID, err)
	}
	if call.kind == refund && (row.Status != chargeCaptured || call.amount > row.Captured-row.Refunded) {
		return row, "refund_exceeds_capture", nil
	}
	if call.kind != refund && row.Status != chargeAuthorized {
		return row, "charge_not_authorized", nil
	}
	update := tx.Ent.SandboxCharge.UpdateOneID(row.ID)
	switch call.kind {
	case capture:
		update.SetStatus(chargeCaptured).SetCaptured(row.Amount)
	case void:
		update.SetStatus(chargeVoided)
	case refund:
		update.AddRefunded(call.amount)
	}
	if row, err = update.Save(ctx); err != nil {
		return nil, "", fmt.Errorf("update charge %s: %w", call.chargeID, err)
	}
	return row, "", nil
}
