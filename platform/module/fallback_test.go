package module_test

import (
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

// What a module does without is what it declares.
func TestFallbacksAreDeclared(t *testing.T) {
	t.Parallel()
	stock, money := &rpc.Service{Name: "stock.v1.Stock"}, &rpc.Service{Name: "money.v1.Money"}
	m := module.Module{Name: "shop", Calls: []*rpc.Service{stock, money}, Fallbacks: []module.Fallback{{Service: stock, Does: "guesses"}}}
	right := module.NewFallbacks(m)
	right.For(stock)
	if err := right.Check(); err != nil {
		t.Error(err)
	}
	if err := module.NewFallbacks(m).Check(); err == nil || !strings.Contains(err.Error(), "never does without") {
		t.Errorf("a declaration without a user: %v", err)
	}
	wrong := module.NewFallbacks(m)
	wrong.For(stock)
	wrong.For(money)
	if err := wrong.Check(); err == nil || !strings.Contains(err.Error(), "does not declare it") {
		t.Errorf("a user without a declaration: %v", err)
	}
	if does := module.NewMap([]module.Module{m}).Modules[0].Fallbacks["stock.v1.Stock"]; does != "guesses" {
		t.Errorf("the map says %q", does)
	}
}
