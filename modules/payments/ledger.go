package payments

import "github.com/cleave-go/cleave/modules/payments/internal/ent"

// The accounts of the ledger. A debit is positive, a credit negative; what an attempt moves sums up to nothing. An authorization and its
// void move no money.
const (
	// receivable is what the provider owes us.
	receivable = "receivable:sandbox"
	// clearing is money that the provider took after the payment was cancelled: due back, and at rest nothing.
	clearing = "clearing:sandbox"
	// sales is what was taken, refunds what of it was given back.
	sales   = "sales"
	refunds = "refunds"
)

// writeLedger writes down what a settled attempt has moved.
func writeLedger(tx tx, row *ent.Payment, a *ent.Attempt) {
	if outcome(a.Outcome) != succeeded {
		return
	}
	switch kind(a.Kind) {
	case capture:
		tx.Defer(`INSERT INTO ledger_entry (attempt_id, account, amount, currency)
			VALUES ($1, $2, $3::bigint, $5), ($1, $4, -$3::bigint, $5)`, a.ID, receivable, a.Amount, credited(row), row.Currency)
	case refund:
		// It is taken from where the capture has put it.
		taken, _ := paymentOf(row).alive(capture)
		tx.Defer(`INSERT INTO ledger_entry (attempt_id, account, amount, currency) VALUES ($1, $2, -$3::bigint, $7),
			($1, CASE WHEN EXISTS (SELECT FROM ledger_entry WHERE attempt_id = $4 AND account = $5) THEN $5 ELSE $6 END, $3::bigint, $7)`,
			a.ID, receivable, a.Amount, taken.id, clearing, refunds, row.Currency)
	}
}

// credited is the account that a capture of the payment credits.
func credited(row *ent.Payment) string {
	if row.Cancellation != string(notCancelled) {
		return clearing
	}
	return sales
}
