package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/topology"
)

// verified runs verify with --json, and returns its exit code, the rules that it says are violated, and its summary.
func verified(t *testing.T, args ...string) (code int, rules []string, summary map[string]any) {
	t.Helper()
	printed, err := run(t, append([]string{"verify", "--json", "--grace", "0s"}, args...)...)
	if err != nil {
		code = exitCode(err)
	}
	for line := range strings.Lines(printed) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("verify printed %q: %v", line, err)
		}
		switch object["type"] {
		case "violation":
			rules = append(rules, object["rule"].(string))
		case "summary":
			summary = object
		}
	}
	slices.Sort(rules)
	return code, slices.Compact(rules), summary
}

// TestVerify verifies a real house after real orders, breaks one thing after the other in its database, and takes it down.
func TestVerify(t *testing.T) {
	t.Parallel()
	binaries := topology.NewBinaries(t)
	binary, database := binaries.Build(t, "cmd/all"), postgrestest.Database(t)
	env := map[string]string{"DATABASE_URL": database}
	if _, code := topology.Run(t, topology.Program{Name: "all seed", Binary: binary, Args: []string{"seed"}, Env: env}); code != 0 {
		t.Fatalf("all seed ended with %d", code)
	}
	house := topology.Start(t, topology.Unit{Name: "all", Binary: binary, Edge: true, Env: env})
	admin := house.Unit("all").Admin()
	for range 2 {
		if printed, err := run(t, "demo", "--url", house.Public()); err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
	}
	db, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	var orders []string
	if err := db.QueryRow(t.Context(), `SELECT array_agg(id) FROM orders."order"`).Scan(&orders); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "orders")
	acknowledge := func(ids ...string) {
		if err := os.WriteFile(file, []byte(strings.Join(ids, "\n")+"\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	acknowledge(orders...)
	// What follows from the last order is not waited for by the demo, but by verify.
	printed, err := run(t, "verify", "--admin", admin, "--acknowledged", file, "--deadline", "0s", "--grace", "1m")
	if err != nil || !strings.Contains(printed, "\nacknowledged 8 = terminal 8 + open 0\n") || !strings.Contains(printed, "2 confirmed") {
		t.Fatalf("where all is well verify says %v\n%s", err, printed)
	}
	code, rules, summary := verified(t, "--admin", admin, "--acknowledged", file, "--deadline", "0s", "--grace", "1m")
	if code != 0 || len(rules) != 0 || summary["holds"] != true || summary["acknowledged"] != 8.0 || summary["open"] != 0.0 {
		t.Errorf("where all is well verify ends with %d, %v and %v", code, rules, summary)
	}
	looked := map[string]float64{}
	for _, rule := range summary["rules"].([]any) {
		looked[rule.(map[string]any)["rule"].(string)] = rule.(map[string]any)["rows"].(float64)
	}
	for _, rule := range []string{"stock.on_hand", "hold.confirmed", "charge.payment", "charge.ended", "order.log", "order.told", "ledger.balanced", "message.sent", "event.applied"} {
		if looked[rule] == 0 {
			t.Errorf("%s looks at nothing", rule)
		}
	}

	acknowledge(append(orders, "ord_lost")...)
	code, rules, summary = verified(t, "--admin", admin, "--acknowledged", file)
	if code != 1 || !slices.Equal(rules, []string{"order.lost"}) || summary["acknowledged"] != 9.0 || summary["terminal"] != 8.0 || summary["lost"] != 1.0 {
		t.Errorf("with an order that is not there verify ends with %d, %v and %v", code, rules, summary)
	}

	const theConfirmed = `(SELECT id FROM orders."order" WHERE state = 'confirmed' ORDER BY id LIMIT 1)`
	const theCancelled = `(SELECT id FROM orders."order" WHERE state = 'cancelled' ORDER BY id LIMIT 1)`
	for _, c := range []struct{ breaks, want, mends string }{
		{
			"UPDATE inventory.stock SET on_hand = on_hand + 1 WHERE sku = (SELECT min(sku) FROM inventory.stock)", "stock.on_hand",
			"UPDATE inventory.stock SET on_hand = on_hand - 1 WHERE sku = (SELECT min(sku) FROM inventory.stock)",
		},
		{
			"UPDATE inventory.reservation SET state = 'committed' WHERE reference = " + theCancelled, "hold.ended stock.reserved",
			"UPDATE inventory.reservation SET state = 'released' WHERE reference = " + theCancelled,
		},
		{
			`INSERT INTO payments.sandbox_charge SELECT 'sbx_twice', reference, payment_method, status, amount, captured, refunded, currency
				FROM payments.sandbox_charge WHERE reference = ` + theConfirmed, "charge.confirmed charge.net_capture charge.payment",
			"DELETE FROM payments.sandbox_charge WHERE id = 'sbx_twice'",
		},
		{
			"UPDATE payments.sandbox_charge SET refunded = 0 WHERE reference = " + theCancelled, "charge.ended charge.payment",
			"UPDATE payments.sandbox_charge SET refunded = captured WHERE reference = " + theCancelled,
		},
		{
			`UPDATE orders."order" SET reservation_id = 'rsv_other' WHERE id = ` + theConfirmed, "hold.confirmed order.log",
			`UPDATE orders."order" SET reservation_id = (SELECT id FROM inventory.reservation WHERE reference = ` + theConfirmed + `) WHERE id = ` + theConfirmed,
		},
		{
			"UPDATE payments.ledger_entry SET amount = 2 * amount WHERE id = (SELECT min(id) FROM payments.ledger_entry)", "ledger.balanced",
			"UPDATE payments.ledger_entry SET amount = amount / 2 WHERE id = (SELECT min(id) FROM payments.ledger_entry)",
		},
		{
			"UPDATE orders.cleave_saga SET stuck = true, phase = 'back', position = 0, due = NULL WHERE id = " + theConfirmed, "saga.stuck",
			"UPDATE orders.cleave_saga SET stuck = false, phase = 'done' WHERE id = " + theConfirmed,
		},
		{
			"UPDATE notifications.mail SET message_id = '-' || message_id", "message.sent",
			"UPDATE notifications.mail SET message_id = substr(message_id, 2)",
		},
		{
			"UPDATE notifications.cleave_inbox SET id = '-' || id WHERE id = (SELECT max(id) FROM notifications.cleave_inbox)", "event.applied event.unknown",
			"UPDATE notifications.cleave_inbox SET id = substr(id, 2) WHERE id LIKE '-%'",
		},
		{
			"INSERT INTO orders.river_job (kind, args, attempt, max_attempts, state, finalized_at) VALUES ('orders.given_up', '{}', 1, 1, 'discarded', now())", "job.kept",
			"DELETE FROM orders.river_job WHERE kind = 'orders.given_up'",
		},
	} {
		for _, statement := range []string{c.breaks, c.mends} {
			tag, err := db.Exec(t.Context(), statement)
			if err != nil || tag.RowsAffected() == 0 {
				t.Fatalf("%s: %v, %v", statement, tag, err)
			}
			want, ends := strings.Fields(c.want), 1
			if statement == c.mends {
				want, ends = nil, 0
			}
			if code, rules, _ := verified(t, "--admin", admin); code != ends || !slices.Equal(rules, want) {
				t.Errorf("after %s verify ends with %d and %v, want %v", statement, code, rules, want)
			}
		}
	}

	house.Unit("all").Kill()
	if code, rules, summary := verified(t, "--admin", admin); code != cannotLook || rules != nil || summary != nil {
		t.Errorf("of a house that is down verify ends with %d, %v and %v", code, rules, summary)
	}
	house.Unit("all").Restart(t)
	if code, rules, _ := verified(t, "--admin", admin, "--deadline", "1h"); code != 0 {
		t.Errorf("after a restart verify ends with %d and %v", code, rules)
	}
}

// TestVerifyMistakes holds that what keeps verify from looking is told from what it sees.
func TestVerifyMistakes(t *testing.T) {
	t.Parallel()
	port := modulesAt(t, "orders")
	empty := filepath.Join(t.TempDir(), "orders")
	if err := os.WriteFile(empty, []byte(" \n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--admin " + nobody(t):           "nobody answers at",
		"--admin " + port:                "holds the module inventory; there are orders: name the process",
		"--deadline soon":                "soon",
		"--grace -1s":                    "less than nothing",
		"--acknowledged /does/not/exist": "acknowledged orders",
		"--acknowledged " + empty:        "names no acknowledged order",
		"--unheard":                      "unheard",
		"now":                            "now",
	} {
		printed, err := run(t, append([]string{"verify"}, strings.Fields(args)...)...)
		if err == nil || exitCode(err) != cannotLook || !strings.Contains(err.Error(), want) || printed != "" {
			t.Errorf("verify %s: %v and %q", args, err, printed)
		}
	}
	printed, err := run(t, "verify", "--list")
	if err != nil || !strings.Contains(printed, "charge.net_capture") || strings.Count(printed, "\n") < 25 {
		t.Errorf("the list of rules: %v\n%s", err, printed)
	}
}

// modulesAt returns the URL of an operator's port that names modules, and knows nothing more.
func modulesAt(t *testing.T, names ...string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /modules", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(names) })
	port := httptest.NewServer(mux)
	t.Cleanup(port.Close)
	return port.URL
}
