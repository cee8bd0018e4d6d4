package orders

import (
	"errors"
	"math"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
)

// cartState is where a cart is in its life. The words are those of the table.
type cartState string

const (
	active    cartState = "active"
	converted cartState = "converted"
	abandoned cartState = "abandoned"
)

var cartStates = map[cartState]ordersv1.CartState{
	active:    ordersv1.CartState_CART_STATE_ACTIVE,
	converted: ordersv1.CartState_CART_STATE_CONVERTED,
	abandoned: ordersv1.CartState_CART_STATE_ABANDONED,
}

// maxItems is how many SKUs a cart can hold.
const maxItems = 200

// price is what a variant costs, for totals.
type price struct {
	amount   int64
	currency string
}

var (
	errMixedCurrencies = errors.New("the prices are in different currencies")
	errOverflow        = errors.New("the total is more than can be counted")
)

// total adds up lines whose prices are in the given currencies, one per line.
func total(lines []schema.Line, currencies []string) (price, error) {
	var sum price
	for i, l := range lines {
		if sum.currency == "" {
			sum.currency = currencies[i]
		}
		if sum.currency != currencies[i] {
			return price{}, errMixedCurrencies
		}
		if l.UnitAmount > 0 && l.Quantity > (math.MaxInt64-sum.amount)/l.UnitAmount {
			return price{}, errOverflow
		}
		sum.amount += l.Quantity * l.UnitAmount
	}
	return sum, nil
}
