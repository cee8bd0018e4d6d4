package catalog

import (
	"slices"
	"strings"
	"testing"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/statetest"
)

var allStates = []state{draft, published, archived}

func TestTransitions(t *testing.T) {
	t.Parallel()
	legal := map[state]string{draft: "published", published: "archived", archived: ""}
	for _, from := range allStates {
		for _, to := range allStates {
			if got, want := from.canBecome(to), slices.Contains(strings.Fields(legal[from]), string(to)); got != want {
				t.Errorf("%s → %s is legal: %v, want %v", from, to, got, want)
			}
		}
	}
	if len(allStates) != len(messageStates) {
		t.Errorf("%d states are tried of %d", len(allStates), len(messageStates))
	}
}

func TestStatesAreDrawn(t *testing.T) {
	t.Parallel()
	statetest.Drawn(t, "../../docs/states/product.md", draft, transitions)
	statetest.Drawn(t, "../../docs/states/import.md", importOpen, importTransitions)
}

func TestEveryStateHasItsMessage(t *testing.T) {
	t.Parallel()
	for value := range catalogv1.ProductState_name {
		m := catalogv1.ProductState(value)
		if m == catalogv1.ProductState_PRODUCT_STATE_UNSPECIFIED {
			if s := stateOf(m, "otherwise"); s != "otherwise" {
				t.Errorf("no state is %s", s)
			}
		} else if messageStates[stateOf(m, "")] != m {
			t.Errorf("%s comes back as %s", m, messageStates[stateOf(m, "")])
		}
	}
}

func TestNextPriceVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		amount   int64
		currency string
		want     int64
	}{
		{"the same", 100, "EUR", 7},
		{"dearer", 101, "EUR", 8},
		{"cheaper", 0, "EUR", 8},
		{"another currency", 100, "USD", 8},
	} {
		got := nextPriceVersion(7, &typev1.Money{Amount: 100, Currency: "EUR"}, &typev1.Money{Amount: c.amount, Currency: c.currency})
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
