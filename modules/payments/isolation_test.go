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

// TestOnlyTheSandboxTouchesItsTables reads the source: the tables of another company's server are in reach of the same ent client.
func TestOnlyTheSandboxTouchesItsTables(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "sandbox") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, found := range touches(t, name, nil) {
			t.Errorf("%s: only sandbox*.go may touch the tables of the sandbox", found)
		}
	}
	planted := "package payments\n\nimport _ \"github.com/cleave-go/cleave/modules/payments/internal/ent/sandboxcharge\"\n\n" +
		"func f(tx tx) { tx.Ent.SandboxCharge.Query(); tx.Query(nil, `SELECT 1 FROM sandbox_operation`) }\n"
	if found := touches(t, "planted.go", planted); len(found) != 3 {
		t.Errorf("3 planted violations, found %v", found)
	}
}

// touches returns the places of a file that name a table of the sandbox: an ent package, a field of the ent client, or SQL.
func touches(t *testing.T, name string, source any) (places []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		found := false
		switch n := n.(type) {
		case *ast.SelectorExpr:
			found = strings.HasPrefix(n.Sel.Name, "Sandbox")
		case *ast.BasicLit:
			found = strings.Contains(n.Value, "/ent/sandbox") || strings.Contains(n.Value, "sandbox_")
		}
		if found {
			places = append(places, files.Position(n.Pos()).String())
		}
		return true
	})
	return places
}
