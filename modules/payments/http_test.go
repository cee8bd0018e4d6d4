package payments

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/modules/payments/sandbox"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/postgrestest"
)

// startSandbox serves a sandbox with a database of its own over HTTP.
func startSandbox(t *testing.T) (url string, pool *pgxpool.Pool) {
	t.Helper()
	pool, err := sandbox.Open(t.Context(), postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return serve(t, sandbox.New(pool)), pool
}

func serve(t *testing.T, handler http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// remote returns the client of a sandbox at a URL.
func remote(t *testing.T, url string) *sandboxClient {
	c := newSandbox(url, nil)
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// TestTheProviderElsewhere plays every script with a provider behind HTTP, which does what it does in memory.
func TestTheProviderElsewhere(t *testing.T) {
	const isUnanswered = isUnknown
	for method, want := range map[string]struct {
		first, second paymentsv1.PaymentState
		code          string
	}{
		methodVisa:              {first: isAuthorized, second: isAuthorized},
		methodDeclined:          {first: isDeclined, second: isDeclined, code: "card_declined"},
		methodInsufficientFunds: {first: isDeclined, second: isDeclined, code: "insufficient_funds"},
		methodExpired:           {first: isDeclined, second: isDeclined, code: "expired_card"},
		"pm_of_nobody":          {first: isDeclined, second: isDeclined, code: "invalid_payment_method"},
		methodChargeThenTimeout: {first: isUnanswered, second: isAuthorized},
		methodTimeoutThenCharge: {first: isUnanswered, second: isAuthorized},
		methodSlow:              {first: isAuthorized, second: isAuthorized},
		methodProviderDown:      {first: isUnanswered, second: isUnanswered},
	} {
		t.Run(method, func(t *testing.T) {
			url, pool := startSandbox(t)
			b := setupWith(t, func(*module.Host) provider { return remote(t, url) })
			b.must(t, want.first, authorize, "a", method, 1000)
			payment := b.must(t, want.second, authorize, "a", method, 1000)
			if payment.GetDeclineCode() != want.code {
				t.Errorf("decline code %q, want %q", payment.GetDeclineCode(), want.code)
			}
			if want.second == isAuthorized {
				if _, err := b.try(capture, "c", payment.GetId(), 0); err != nil {
					t.Fatal(err)
				}
				b.must(t, isCaptured, capture, "c", payment.GetId(), 0)
				if _, err := b.try(refund, "r", payment.GetId(), 0); err != nil {
					t.Fatal(err)
				}
				b.must(t, isRefunded, refund, "r", payment.GetId(), 0)
			}
			if n := b.count(t, "SELECT count(*) FROM payments.sandbox_request"); n != 0 {
				t.Errorf("the tables of payments have %d requests to a provider that is elsewhere", n)
			}
			var charges, twice int
			if err := pool.QueryRow(t.Context(), "SELECT count(*), (SELECT count(*) - count(DISTINCT kind) FROM sandbox_operation) FROM sandbox_charge").
				Scan(&charges, &twice); err != nil {
				t.Fatal(err)
			}
			if wantCharges := map[bool]int{true: 0, false: 1}[method == methodProviderDown]; charges != wantCharges || twice != 0 {
				t.Errorf("the provider has %d charges and did %d things twice, want %d and 0", charges, twice, wantCharges)
			}
		})
	}
}

// TestWhatIsNoReplyIsUnknown answers as servers and what stands before them do when they fail.
func TestWhatIsNoReplyIsUnknown(t *testing.T) {
	t.Parallel()
	fine := `{"charge_id": "sbx_1"}`
	for name, handler := range map[string]http.HandlerFunc{
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, fine, http.StatusInternalServerError) },
		"too busy": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"code": "busy"}`, http.StatusTooManyRequests)
		},
		"not known who asks": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"code": "key_expired"}`, http.StatusUnauthorized)
		},
		"a stranger's not found": func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"no JSON":                func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"half of it":             func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, fine[:10]) },
		"nothing":                func(http.ResponseWriter, *http.Request) {},
		"no charge":              func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") },
		"more than can be meant": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat(" ", maxReply)+fine) },
		"a broken connection":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a connection broken later": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, fine)
		},
		"no answer in time": func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fresh atomic.Bool
			var requests atomic.Int64
			c := remote(t, serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !fresh.Swap(true) {
					io.WriteString(w, fine)
					return
				}
				requests.Add(1)
				handler(w, r)
			})))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			// The connection is used again: that is where a transport is tempted to repeat a request.
			if _, err := c.capture(ctx, "k", "sbx_1"); err != nil {
				t.Fatal(err)
			}
			if name == "no answer in time" {
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			got, err := c.capture(ctx, "k", "sbx_1")
			if !errors.Is(err, errUnknown) {
				t.Errorf("got %v, %v, want that it is unknown", got, err)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("the provider was asked %d times behind our back", n-1)
			}
			if _, found, err := c.lookup(ctx, "k"); found || !errors.Is(err, errUnknown) {
				t.Errorf("looked up: %t, %v, want that it is unknown", found, err)
			}
		})
	}
}

// TestTheTablesOfTheSandboxAreTheSame compares those that it makes in a database of its own with those in the module's schema.
func TestTheTablesOfTheSandboxAreTheSame(t *testing.T) {
	b := setup(t)
	_, pool := startSandbox(t)
	shape := func(of *pgxpool.Pool, schema string) (list []string) {
		rows, err := of.Query(b.ctx, `SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
				FROM information_schema.columns WHERE table_schema = $1 AND table_name LIKE 'sandbox%'
			UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint
				WHERE conrelid IN (SELECT oid FROM pg_class WHERE relnamespace = $1::regnamespace AND relname LIKE 'sandbox%')
			UNION ALL SELECT replace(indexdef, $1 || '.', '') FROM pg_indexes WHERE schemaname = $1 AND tablename LIKE 'sandbox%'
			ORDER BY 1`, schema)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			list = append(list, line)
		}
		return list
	}
	mine, own := shape(b.admin, "payments"), shape(pool, "sandbox")
	if len(mine) < 20 || !reflect.DeepEqual(mine, own) {
		t.Errorf("in the module's schema:\n%s\nin its own:\n%s", strings.Join(mine, "\n"), strings.Join(own, "\n"))
	}
	for _, statement := range []string{"UPDATE sandbox_operation SET key = key", "DELETE FROM sandbox_request", "TRUNCATE sandbox_operation"} {
		if _, err := pool.Exec(b.ctx, statement); err == nil {
			t.Errorf("%s was done", statement)
		}
	}
}
