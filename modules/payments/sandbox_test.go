package payments

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cleave-go/cleave/modules/payments/sandbox"
)

// TestAKeyIsOfOneOperation holds the sandbox to what provider promises.
func TestAKeyIsOfOneOperation(t *testing.T) {
	b := setup(t)
	s := newSandbox("", b.database.Pool())
	order := authorization{reference: "ord_1", amount: 1000, currency: "EUR", method: methodVisa}
	charged, err := s.authorize(b.ctx, "k1", order)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.capture(b.ctx, "k2", charged.chargeID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.refund(b.ctx, "k3", charged.chargeID, 400); err != nil {
		t.Fatal(err)
	}
	tooMuch, err := s.refund(b.ctx, "k4", charged.chargeID, 601)
	if err != nil || tooMuch.declineCode != "refund_exceeds_capture" {
		t.Fatalf("a refund of too much: %v, %v", tooMuch, err)
	}
	late, err := s.void(b.ctx, "k5", charged.chargeID)
	if err != nil || late.declineCode != "charge_not_authorized" {
		t.Fatalf("a void after the capture: %v, %v", late, err)
	}

	for name, c := range map[string]struct {
		call func() (answer, error)
		want answer
	}{
		"authorize": {func() (answer, error) { return s.authorize(b.ctx, "k1", order) }, charged},
		"capture":   {func() (answer, error) { return s.capture(b.ctx, "k2", charged.chargeID) }, charged},
		"refund":    {func() (answer, error) { return s.refund(b.ctx, "k3", charged.chargeID, 400) }, charged},
		"refused":   {func() (answer, error) { return s.refund(b.ctx, "k4", charged.chargeID, 601) }, tooMuch},
	} {
		if got, err := c.call(); err != nil || got != c.want {
			t.Errorf("%s again: %v, %v, want %v", name, got, err, c.want)
		}
	}
	for name, call := range map[string]func() (answer, error){
		"another amount": func() (answer, error) {
			other := order
			other.amount++
			return s.authorize(b.ctx, "k1", other)
		},
		"another method": func() (answer, error) {
			other := order
			other.method = methodDeclined
			return s.authorize(b.ctx, "k1", other)
		},
		"another kind":   func() (answer, error) { return s.void(b.ctx, "k2", charged.chargeID) },
		"another refund": func() (answer, error) { return s.refund(b.ctx, "k3", charged.chargeID, 401) },
	} {
		if _, err := call(); !isMistake(err, sandbox.CodeKeyReused) {
			t.Errorf("%s under the same key: %v", name, err)
		}
	}
	if _, err := s.capture(b.ctx, "k6", "sbx_0"); !isMistake(err, sandbox.CodeNoSuchCharge) {
		t.Errorf("capture of no charge: %v", err)
	}
	if got, found, err := s.lookup(b.ctx, "k4"); err != nil || !found || got != tooMuch {
		t.Errorf("lookup: %v, %t, %v", got, found, err)
	}
	if got, found, err := s.lookup(b.ctx, "k6"); err != nil || found {
		t.Errorf("lookup of a key that did nothing: %v, %t, %v", got, found, err)
	}
	if n := b.count(t, "SELECT count(*) FROM payments.sandbox_operation"); n != 5 {
		t.Errorf("the log has %d operations, want 5", n)
	}
}

// TestAKeyAtOnce lets many ask for the same at the same time: it is done once, all get the same answer, and the log has every request.
func TestAKeyAtOnce(t *testing.T) {
	b := setup(t)
	s := newSandbox("", b.database.Pool())
	const many = 20
	atOnce := func(call func() (answer, error)) answer {
		t.Helper()
		answers, failures := make(chan answer, many), make(chan error, many)
		for range many {
			go func() {
				got, err := call()
				answers <- got
				failures <- err
			}()
		}
		first := <-answers
		for range many - 1 {
			if got := <-answers; got != first {
				t.Errorf("one is answered %v, another %v", first, got)
			}
		}
		for range many {
			if err := <-failures; err != nil {
				t.Error(err)
			}
		}
		return first
	}
	charged := atOnce(func() (answer, error) {
		return s.authorize(b.ctx, "k1", authorization{reference: "ord_1", amount: 1000, currency: "EUR", method: methodVisa})
	})
	taken := atOnce(func() (answer, error) { return s.capture(b.ctx, "k2", charged.chargeID) })
	if taken != charged || charged.declineCode != "" {
		t.Errorf("captured %v of %v", taken, charged)
	}
	page, err := s.charges(b.ctx, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(page) != 1 || len(page[0].GetOperations()) != 2 || page[0].GetCaptured().GetAmount() != 1000 {
		t.Fatalf("the log has %v, want one charge that was authorized and captured", page)
	}
	for _, o := range page[0].GetOperations() {
		if o.GetRequests() != many {
			t.Errorf("the log has %d requests to %s, want %d", o.GetRequests(), o.GetKind(), many)
		}
	}
}

// isMistake reports whether the provider answered with a code.
func isMistake(err error, code string) bool {
	mistake := errMistake{}
	return errors.As(err, &mistake) && mistake.Code == code
}

func TestTheSlowScript(t *testing.T) {
	b := setup(t)
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	_, err := newSandbox("", b.database.Pool()).authorize(ctx, "k", authorization{amount: 1, currency: "EUR", method: methodSlow})
	if !errors.Is(err, errUnknown) {
		t.Errorf("got %v, want that it is unknown", err)
	}
	b.must(t, isAuthorized, authorize, "a", methodSlow, 1000)
}

func TestTheLogOfTheSandboxIsNeverChanged(t *testing.T) {
	b := setup(t)
	b.must(t, isAuthorized, authorize, "a", methodVisa, 1000)
	for _, statement := range []string{
		"UPDATE sandbox_operation SET outcome = 'nothing'", "DELETE FROM sandbox_operation",
		"UPDATE sandbox_request SET key = 'nothing'", "DELETE FROM sandbox_request",
	} {
		_, err := b.database.Pool().Exec(b.ctx, statement)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want that permission is denied", statement, err)
		}
	}
}
