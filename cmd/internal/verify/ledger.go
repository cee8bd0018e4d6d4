package verify

import (
	"strings"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
)

// ledger checks a transaction of the ledger, or an attempt that should have one.
func (b *book) ledger(l *paymentsv1.LedgerFact) {
	b.check(ledgerBalanced, l.GetAttemptId(), l.GetProblem() == "",
		"the ledger is wrong about attempt %s of payment %s: %s", l.GetAttemptId(), none(l.GetPaymentId()), l.GetProblem())
}

// account checks an account of the ledger. Payments have been entered by then.
func (b *book) account(a *paymentsv1.AccountFact) {
	if strings.HasPrefix(a.GetAccount(), "clearing:") && !b.underWay {
		b.check(ledgerClearing, a.GetAccount(), a.GetBalance().GetAmount() == 0,
			"account %s holds %s though no payment is under way", a.GetAccount(), money(a.GetBalance().GetAmount(), a.GetBalance().GetCurrency()))
	}
}
