package payments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

// facts implements FactService.
type facts struct{ *service }

// factPage is how many facts are in one answer, and in memory at once. The provider may give fewer.
const factPage = 200

// attemptFact is an attempt as the facts read it.
type attemptFact struct {
	ID      string  `json:"id"`
	Kind    string  `json:"kind"`
	Amount  int64   `json:"amount"`
	Outcome string  `json:"outcome"`
	Age     float64 `json:"age"` // in seconds
}

// StreamPaymentFacts reads a page by one statement, payments and attempts alike, so that all of it is of one moment.
func (f facts) StreamPaymentFacts(
	ctx context.Context, _ *paymentsv1.StreamPaymentFactsRequest, stream *connect.ServerStream[paymentsv1.StreamPaymentFactsResponse],
) error {
	return pages(func(after string) ([]*paymentsv1.PaymentFact, error) {
		rows, _ := f.store.Pool().Query(ctx, `SELECT id, reference, state, amount, captured, refunded, currency, charge_id, cancellation, update_time,
				(SELECT json_agg(json_build_object('id', a.id, 'kind', a.kind, 'amount', a.amount, 'outcome', a.outcome,
					'age', extract(epoch FROM now() - a.create_time)) ORDER BY a.id) FROM attempt a WHERE a.payment_id = p.id)
			FROM payment p WHERE id > $1 ORDER BY id LIMIT $2`, after, factPage)
		list, err := pgx.CollectRows(rows, paymentFact)
		return list, loaded("payment", err)
	}, func(list []*paymentsv1.PaymentFact) error {
		return stream.Send(&paymentsv1.StreamPaymentFactsResponse{Facts: list})
	},
		(*paymentsv1.PaymentFact).GetId)
}

func paymentFact(row pgx.CollectableRow) (*paymentsv1.PaymentFact, error) {
	var is, cancelled, currency string
	var amount, captured, refunded int64
	var updated time.Time
	var attempts []attemptFact
	fact := &paymentsv1.PaymentFact{}
	if err := row.Scan(&fact.Id, &fact.Reference, &is, &amount, &captured, &refunded, &currency, &fact.ChargeId, &cancelled, &updated, &attempts); err != nil {
		return nil, err
	}
	p := payment{amount: amount, cancellation: cancellation(cancelled)}
	for _, a := range attempts {
		p.attempts = append(p.attempts, attempt{id: a.ID, kind: kind(a.Kind), amount: a.Amount, outcome: outcome(a.Outcome)})
		if outcome(a.Outcome).open() {
			fact.OpenAttempts = append(fact.OpenAttempts, &paymentsv1.OpenAttempt{
				Id: a.ID, Kind: a.Kind, Age: durationpb.New(time.Duration(a.Age * float64(time.Second))),
			})
		}
	}
	if p.cancellation != notCancelled {
		fact.Cancellation = p.cancelled()
	}
	fact.State, fact.UpdateTime = messageStates[state(is)], timestamppb.New(updated)
	fact.Amount, fact.Captured, fact.Refunded = money(amount, currency), money(captured, currency), money(refunded, currency)
	return fact, nil
}

// StreamChargeFacts passes on what the provider says.
func (f facts) StreamChargeFacts(
	ctx context.Context, _ *paymentsv1.StreamChargeFactsRequest, stream *connect.ServerStream[paymentsv1.StreamChargeFactsResponse],
) error {
	return pages(func(after string) ([]*paymentsv1.ChargeFact, error) {
		ctx, cancel := context.WithTimeout(ctx, listTimeout)
		defer cancel()
		list, err := f.provider.charges(ctx, after, factPage)
		if errors.Is(err, errUnknown) {
			return nil, fmt.Errorf("%w: %w", rpc.Errorf(connect.CodeUnavailable, "PROVIDER_DOWN", "the payment provider does not answer"), err)
		}
		if err != nil {
			return nil, fmt.Errorf("list the provider's charges: %w", err)
		}
		return list, nil
	}, func(list []*paymentsv1.ChargeFact) error {
		return stream.Send(&paymentsv1.StreamChargeFactsResponse{Facts: list})
	},
		(*paymentsv1.ChargeFact).GetId)
}

// entryFact is an entry of the ledger as the facts read it.
type entryFact struct {
	Account  string `json:"account"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// StreamLedgerFacts goes through the attempts that moved money and the transactions side by side, so that neither can be missing unseen.
func (f facts) StreamLedgerFacts(
	ctx context.Context, _ *paymentsv1.StreamLedgerFactsRequest, stream *connect.ServerStream[paymentsv1.StreamLedgerFactsResponse],
) error {
	return pages(func(after string) ([]*paymentsv1.LedgerFact, error) {
		rows, _ := f.store.Pool().Query(ctx, `WITH page AS (SELECT id FROM (
				(SELECT id FROM attempt WHERE id > $1 AND outcome = 'succeeded' AND kind IN ('capture', 'refund') ORDER BY id LIMIT $2)
				UNION (SELECT DISTINCT attempt_id FROM ledger_entry WHERE attempt_id > $1 ORDER BY attempt_id LIMIT $2)) ids ORDER BY id LIMIT $2)
			SELECT page.id, coalesce(p.id, ''), coalesce(p.currency, ''),
				CASE WHEN a.outcome = 'succeeded' THEN CASE a.kind WHEN 'capture' THEN a.amount WHEN 'refund' THEN -a.amount ELSE 0 END ELSE 0 END,
				(SELECT json_agg(json_build_object('account', account, 'amount', amount, 'currency', currency) ORDER BY e.id)
					FROM ledger_entry e WHERE e.attempt_id = page.id)
			FROM page LEFT JOIN attempt a ON a.id = page.id LEFT JOIN payment p ON p.id = a.payment_id ORDER BY page.id`, after, factPage)
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*paymentsv1.LedgerFact, error) {
			var currency string
			var moved int64
			var entries []entryFact
			fact := &paymentsv1.LedgerFact{}
			if err := row.Scan(&fact.AttemptId, &fact.PaymentId, &currency, &moved, &entries); err != nil {
				return nil, err
			}
			for _, e := range entries {
				fact.Entries = append(fact.Entries, &paymentsv1.LedgerEntry{Account: e.Account, Amount: money(e.Amount, e.Currency)})
			}
			fact.Problem = ledgerProblem(entries, moved, currency)
			if fact.GetPaymentId() == "" {
				fact.Problem = "there is no such attempt"
			}
			return fact, nil
		})
		return list, loaded("ledger", err)
	}, func(list []*paymentsv1.LedgerFact) error {
		return stream.Send(&paymentsv1.StreamLedgerFactsResponse{Facts: list})
	},
		(*paymentsv1.LedgerFact).GetAttemptId)
}

// ledgerProblem says why the entries of a transaction are not those of an attempt that moved an amount to us, or "".
func ledgerProblem(entries []entryFact, moved int64, currency string) string {
	sums := map[string]int64{}
	owed := int64(0)
	for _, e := range entries {
		sums[e.Currency] += e.Amount
		if e.Account == receivable && e.Currency == currency {
			owed += e.Amount
		}
	}
	for of, sum := range sums {
		if sum != 0 {
			return fmt.Sprintf("debits and credits differ by %d %s", sum, of)
		}
	}
	if owed != moved {
		return fmt.Sprintf("the attempt moved %d %s, the ledger says %d", moved, currency, owed)
	}
	return ""
}

// StreamAccountFacts adds the whole ledger up. There are few accounts.
func (f facts) StreamAccountFacts(
	ctx context.Context, _ *paymentsv1.StreamAccountFactsRequest, stream *connect.ServerStream[paymentsv1.StreamAccountFactsResponse],
) error {
	rows, _ := f.store.Pool().Query(ctx, "SELECT account, currency, sum(amount)::bigint FROM ledger_entry GROUP BY account, currency ORDER BY account, currency")
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*paymentsv1.AccountFact, error) {
		fact := &paymentsv1.AccountFact{Balance: &typev1.Money{}}
		return fact, row.Scan(&fact.Account, &fact.Balance.Currency, &fact.Balance.Amount)
	})
	if err != nil {
		return loaded("account", err)
	}
	return stream.Send(&paymentsv1.StreamAccountFactsResponse{Facts: list})
}

// pages sends page by page until one is empty. A page is what comes after the last id.
func pages[F any](load func(after string) ([]F, error), send func([]F) error, idOf func(F) string) error {
	for after := ""; ; {
		list, err := load(after)
		if err != nil || len(list) == 0 {
			return err
		}
		if err := send(list); err != nil {
			return err
		}
		after = idOf(list[len(list)-1])
	}
}

func loaded(what string, err error) error {
	if err == nil {
		return nil
	}
	return db.Unavailable(fmt.Errorf("load %s facts: %w", what, err))
}
