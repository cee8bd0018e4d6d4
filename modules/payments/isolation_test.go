package payments

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
)

// TestPaymentsKnowsTheProviderByItsAnswers takes the provider's tables away: what payments itself knows does not need them.
func TestPaymentsKnowsTheProviderByItsAnswers(t *testing.T) {
	b := setup(t)
	paymentID := b.must(t, isAuthorized, authorize, "a", methodVisa, 1000).GetId()
	b.exec(t, "DROP TABLE payments.sandbox_charge, payments.sandbox_operation, payments.sandbox_request")
	if s := b.get(t, paymentID).GetState(); s != isAuthorized {
		t.Errorf("the payment is %s", s)
	}
	b.must(t, isAuthorized, authorize, "a", methodVisa, 1000)
	_, err := b.try(refund, "r", paymentID, 0)
	wantError(t, err, connect.CodeFailedPrecondition, "PAYMENT_STATE")
	b.must(t, isUnknown, capture, "c", paymentID, 0)
}

// TestOnlyTheSandboxTouchesItsTables reads the source: the tables of another company's server are in reach of the same pool.
func TestOnlyTheSandboxTouchesItsTables(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, found := range touches(t, name, nil) {
			t.Errorf("%s: only the package sandbox may touch the tables of the sandbox", found)
		}
	}
	planted := "package payments\n\nfunc f(tx tx) { tx.Query(nil, `SELECT 1 FROM sandbox_operation`) }\n"
	if found := touches(t, "planted.go", planted); len(found) != 1 {
		t.Errorf("a planted violation, found %v", found)
	}
}

// touches returns the places of a file that name a table of the sandbox.
func touches(t *testing.T, name string, source any) (places []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if text, ok := n.(*ast.BasicLit); ok && strings.Contains(text.Value, "sandbox_") {
			places = append(places, files.Position(n.Pos()).String())
		}
		return true
	})
	return places
}
