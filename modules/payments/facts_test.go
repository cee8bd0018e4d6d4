package payments

import (
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/platform/module"
)

// collect reads a stream of facts to its end.
func collect[R, F any](t *testing.T, stream *connect.ServerStreamForClient[R], err error, facts func(*R) []F) (list []F) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for stream.Receive() {
		list = append(list, facts(stream.Msg())...)
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

func (b *bundle) ledgerFacts(t *testing.T) []*paymentsv1.LedgerFact {
	stream, err := b.facts.StreamLedgerFacts(b.ctx, &paymentsv1.StreamLedgerFactsRequest{})
	return collect(t, stream, err, (*paymentsv1.StreamLedgerFactsResponse).GetFacts)
}

func TestFacts(t *testing.T) {
	for _, elsewhere := range []bool{false, true} {
		t.Run(fmt.Sprintf("the provider is elsewhere: %t", elsewhere), func(t *testing.T) {
			b := setupWith(t, func(host *module.Host) provider {
				if !elsewhere {
					return newSandbox("", host.DB.Pool())
				}
				url, _ := startSandbox(t)
				return remote(t, url)
			})
			doneID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
			b.must(t, isCaptured, capture, "c", doneID, 0)
			b.must(t, isPartiallyRefunded, refund, "r", doneID, 300)
			openID := b.must(t, isUnknown, authorize, "open", methodChargeThenTimeout, 500).GetId()
			if answer, err := b.CancelPayment(b.ctx, &paymentsv1.CancelPaymentRequest{RequestId: "x", AuthorizeRequestId: "a"}); err != nil ||
				answer.GetCancellation() != isDone {
				t.Fatalf("cancel: %v, %v", answer, err)
			}

			stream, err := b.facts.StreamPaymentFacts(b.ctx, &paymentsv1.StreamPaymentFactsRequest{})
			payments := collect(t, stream, err, (*paymentsv1.StreamPaymentFactsResponse).GetFacts)
			if len(payments) != 2 {
				t.Fatalf("facts of %d payments, want 2", len(payments))
			}
			done, open := payments[0], payments[1]
			if done.GetId() != doneID || done.GetReference() != "ord_1" || done.GetState() != isRefunded || done.GetCancellation() != isDone ||
				!proto.Equal(done.GetCaptured(), euros(1000)) || !proto.Equal(done.GetRefunded(), euros(1000)) || len(done.GetOpenAttempts()) != 0 {
				t.Errorf("the fact is %v", done)
			}
			if open.GetId() != openID || open.GetState() != isUnknown || len(open.GetOpenAttempts()) != 1 ||
				open.GetOpenAttempts()[0].GetKind() != "authorize" || open.GetOpenAttempts()[0].GetAge().AsDuration() > time.Hour {
				t.Errorf("the fact is %v", open)
			}

			chargeStream, err := b.facts.StreamChargeFacts(b.ctx, &paymentsv1.StreamChargeFactsRequest{})
			charges := collect(t, chargeStream, err, (*paymentsv1.StreamChargeFactsResponse).GetFacts)
			if len(charges) != 2 || charges[0].GetId() != done.GetChargeId() || len(charges[0].GetOperations()) != 4 ||
				!proto.Equal(charges[0].GetAuthorized(), euros(1000)) || !proto.Equal(charges[0].GetRefunded(), euros(1000)) ||
				charges[1].GetOperations()[0].GetKey() != open.GetOpenAttempts()[0].GetId() || charges[1].GetOperations()[0].GetRequests() != 1 {
				t.Errorf("the charges are %v", charges)
			}

			ledger := b.ledgerFacts(t)
			if len(ledger) != 3 {
				t.Errorf("facts of %d transactions, want 3", len(ledger))
			}
			for _, fact := range ledger {
				if fact.GetProblem() != "" || fact.GetPaymentId() != doneID || len(fact.GetEntries()) != 2 {
					t.Errorf("the transaction is %v", fact)
				}
			}
			accountStream, err := b.facts.StreamAccountFacts(b.ctx, &paymentsv1.StreamAccountFactsRequest{})
			held := map[string]int64{}
			for _, fact := range collect(t, accountStream, err, (*paymentsv1.StreamAccountFactsResponse).GetFacts) {
				held[fact.GetAccount()+" "+fact.GetBalance().GetCurrency()] = fact.GetBalance().GetAmount()
			}
			if want := map[string]int64{"receivable:sandbox EUR": 0, "sales EUR": -1000, "refunds EUR": 1000}; fmt.Sprint(held) != fmt.Sprint(want) {
				t.Errorf("the accounts hold %v, want %v", held, want)
			}
		})
	}
}

// TestFactsOfTheLedgerShowWhatIsWrong plants what the database would not have let in.
func TestFactsOfTheLedgerShowWhatIsWrong(t *testing.T) {
	for name, planted := range map[string]string{
		"it moved nothing":  "INSERT INTO payments.ledger_entry (attempt_id, account, amount, currency) VALUES ('zzz', 'receivable:sandbox', 5, 'EUR'), ('zzz', 'sales', -5, 'EUR')",
		"missing":           "DELETE FROM payments.ledger_entry",
		"unbalanced":        "DELETE FROM payments.ledger_entry WHERE account = 'sales'",
		"of another amount": "UPDATE payments.ledger_entry SET amount = 2 * amount",
		"another currency":  "UPDATE payments.ledger_entry SET currency = 'USD'",
		"the wrong way":     "UPDATE payments.ledger_entry SET amount = - amount",
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			b.must(t, isCaptured, capture, "c", b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId(), 0)
			b.exec(t, planted)
			var problems int
			for _, fact := range b.ledgerFacts(t) {
				if fact.GetProblem() != "" {
					problems++
				}
			}
			if problems != 1 {
				t.Errorf("%d problems were found, want 1: %v", problems, b.ledgerFacts(t))
			}
		})
	}
}

// TestFactsComeInPages has more facts than a page has.
func TestFactsComeInPages(t *testing.T) {
	b := setup(t)
	b.exec(t, `INSERT INTO payments.payment (id, reference, state, amount, currency, payment_method)
		SELECT format('pay_%s', lpad(n::text, 5, '0')), 'ord', 'declined', 1, 'EUR', '' FROM generate_series(1, $1) n`, 2*factPage+1)
	b.exec(t, `INSERT INTO payments.sandbox_charge (id, reference, payment_method, status, amount, currency)
		SELECT format('sbx_%s', lpad(n::text, 5, '0')), 'ord', '', 'declined', 1, 'EUR' FROM generate_series(1, $1) n`, 2*factPage+1)
	b.exec(t, `INSERT INTO payments.ledger_entry (attempt_id, account, amount, currency)
		SELECT format('att_%s', lpad(n::text, 5, '0')), account, amount, 'EUR' FROM generate_series(1, $1) n, (VALUES ('x', 1), ('y', -1)) e (account, amount)`, 2*factPage+1)
	stream, err := b.facts.StreamPaymentFacts(b.ctx, &paymentsv1.StreamPaymentFactsRequest{})
	payments := collect(t, stream, err, (*paymentsv1.StreamPaymentFactsResponse).GetFacts)
	chargeStream, err := b.facts.StreamChargeFacts(b.ctx, &paymentsv1.StreamChargeFactsRequest{})
	charges := collect(t, chargeStream, err, (*paymentsv1.StreamChargeFactsResponse).GetFacts)
	seen := map[string]bool{}
	for _, fact := range payments {
		seen[fact.GetId()] = true
	}
	for _, fact := range charges {
		seen[fact.GetId()] = true
	}
	for _, fact := range b.ledgerFacts(t) {
		seen[fact.GetAttemptId()] = true
	}
	if want := 2*factPage + 1; len(payments) != want || len(charges) != want || len(seen) != 3*want {
		t.Errorf("%d payments, %d charges and %d different facts, want %d, %d and %d", len(payments), len(charges), len(seen), want, want, 3*want)
	}
}

func TestFactsSayThatTheProviderIsDown(t *testing.T) {
	b := setupWith(t, func(*module.Host) provider { return remote(t, "http://127.0.0.1:1") })
	stream, err := b.facts.StreamChargeFacts(b.ctx, &paymentsv1.StreamChargeFactsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for stream.Receive() {
		t.Errorf("got %v", stream.Msg())
	}
	wantError(t, stream.Err(), connect.CodeUnavailable, "PROVIDER_DOWN")
}
