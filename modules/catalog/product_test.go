package catalog

import (
	"testing"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
)

func TestEveryStateHasItsMessage(t *testing.T) {
	t.Parallel()
	for value := range catalogv1.ProductState_name {
		m := catalogv1.ProductState(value)
		if m == catalogv1.ProductState_PRODUCT_STATE_UNSPECIFIED {
			if s := stateOf(m); s != published {
				t.Errorf("without a state a product is %s, want %s", s, published)
			}
		} else if messageStates[stateOf(m)] != m {
			t.Errorf("%s comes back as %s", m, messageStates[stateOf(m)])
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
		if got := nextPriceVersion(7, 100, "EUR", c.amount, c.currency); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
