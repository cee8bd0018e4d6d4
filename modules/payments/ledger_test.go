package payments

import (
	"errors"
	"maps"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// balances returns what the accounts of the ledger hold.
func (b *bundle) balances(t *testing.T) map[string]int64 {
	t.Helper()
	rows, err := b.admin.Query(b.ctx, "SELECT account, sum(amount) FROM payments.ledger_entry GROUP BY account HAVING sum(amount) <> 0")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	held := map[string]int64{}
	for rows.Next() {
		var account string
		var amount int64
		if err := rows.Scan(&account, &amount); err != nil {
			t.Fatal(err)
		}
		held[account] = amount
	}
	return held
}

func TestLedger(t *testing.T) {
	b := setup(t)
	wantBalances := func(want map[string]int64) {
		t.Helper()
		if got := b.balances(t); !maps.Equal(got, want) {
			t.Errorf("the ledger holds %v, want %v", got, want)
		}
	}
	paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
	b.must(t, isVoided, void, "v", b.must(t, isAuthorized, authorize, "other", methodVisa, 1000).GetId(), 0)
	b.must(t, isDeclined, authorize, "declined", methodDeclined, 1000)
	wantBalances(map[string]int64{})
	for range 2 {
		b.must(t, isCaptured, capture, "c", paymentID, 0)
		wantBalances(map[string]int64{receivable: 1000, sales: -1000})
	}
	b.must(t, isPartiallyRefunded, refund, "r", paymentID, 300)
	wantBalances(map[string]int64{receivable: 700, sales: -1000, refunds: 300})
	b.must(t, isRefunded, refund, "s", paymentID, 0)
	wantBalances(map[string]int64{sales: -1000, refunds: 1000})
	if n := b.count(t, "SELECT count(DISTINCT attempt_id) FROM payments.ledger_entry"); n != 3 {
		t.Errorf("the ledger has %d transactions, want one for each of 3 attempts that moved money", n)
	}

	// What is taken after the cancellation was never a sale.
	lateID := b.must(t, isUnknown, authorize, "late", methodChargeThenTimeout, 500).GetId()
	b.must(t, isAuthorized, authorize, "late", methodChargeThenTimeout, 500)
	b.must(t, isUnknown, capture, "late", lateID, 0)
	b.exec(t, "UPDATE payments.payment SET cancellation = 'requested' WHERE id = $1", lateID)
	b.sweep(t) // The refund is not answered.
	wantBalances(map[string]int64{receivable: 500, clearing: -500, sales: -1000, refunds: 1000})
	b.sweep(t)
	wantBalances(map[string]int64{sales: -1000, refunds: 1000})
}

// TestTheDatabaseKeepsTheLedger tries, with the rights of the module, what must not be.
func TestTheDatabaseKeepsTheLedger(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
	b.must(t, isCaptured, capture, "c", paymentID, 0)
	const entry = "INSERT INTO ledger_entry (attempt_id, account, amount, currency) "
	for statement, code := range map[string]string{
		"UPDATE ledger_entry SET amount = 0":                                     "42501",
		"DELETE FROM ledger_entry":                                               "42501",
		"TRUNCATE ledger_entry":                                                  "42501",
		entry + "VALUES ('x', 'a', 1, 'EUR')":                                    "23514",
		entry + "VALUES ('x', 'a', 1, 'EUR'), ('x', 'b', -1, 'USD')":             "23514",
		entry + "VALUES ('x', 'a', 1, 'EUR'), ('y', 'b', -1, 'EUR')":             "23514",
		entry + "VALUES ('x', 'a', 0, 'EUR')":                                    "23514",
		entry + "SELECT attempt_id, account, amount, currency FROM ledger_entry": "23505",
	} {
		_, err := b.database.Pool().Exec(b.ctx, statement)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != code {
			t.Errorf("%s: %v, want the error %s", statement, err, code)
		}
	}
	if _, err := b.database.Pool().Exec(b.ctx, entry+"VALUES ('x', 'a', 1, 'EUR'), ('x', 'b', -1, 'EUR')"); err != nil {
		t.Errorf("a balanced transaction: %v", err)
	}
}
