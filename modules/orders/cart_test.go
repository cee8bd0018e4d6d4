package orders

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
)

func TestTotal(t *testing.T) {
	t.Parallel()
	line := func(quantity, amount int64) schema.Line { return schema.Line{Quantity: quantity, UnitAmount: amount} }
	for _, c := range []struct {
		name       string
		lines      []schema.Line
		currencies []string
		want       price
		err        error
	}{
		{"one", []schema.Line{line(3, 250)}, []string{"EUR"}, price{750, "EUR"}, nil},
		{"several", []schema.Line{line(3, 250), line(1, 1), line(2, 0)}, []string{"EUR", "EUR", "EUR"}, price{751, "EUR"}, nil},
		{"for nothing", []schema.Line{line(10_000, 0)}, []string{"EUR"}, price{0, "EUR"}, nil},
		{"the most", []schema.Line{line(1, math.MaxInt64-1), line(1, 1)}, []string{"EUR", "EUR"}, price{math.MaxInt64, "EUR"}, nil},
		{"a line too large", []schema.Line{line(2, math.MaxInt64/2+1)}, []string{"EUR"}, price{}, errOverflow},
		{"a sum too large", []schema.Line{line(1, math.MaxInt64), line(1, 1)}, []string{"EUR", "EUR"}, price{}, errOverflow},
		{"mixed", []schema.Line{line(1, 1), line(1, 1)}, []string{"EUR", "USD"}, price{}, errMixedCurrencies},
		{"mixed, for nothing", []schema.Line{line(1, 1), line(1, 0)}, []string{"EUR", "USD"}, price{}, errMixedCurrencies},
	} {
		if got, err := total(c.lines, c.currencies); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v, want %v, %v", c.name, got, err, c.want, c.err)
		}
	}
}

// A total is right or refused, never wrapped around.
func TestTotalIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		exact := new(big.Int)
		var lines []schema.Line
		var currencies []string
		for range rapid.IntRange(1, 200).Draw(t, "lines") {
			l := schema.Line{Quantity: rapid.Int64Range(1, 10_000).Draw(t, "quantity"), UnitAmount: rapid.Int64Min(0).Draw(t, "amount")}
			exact.Add(exact, new(big.Int).Mul(big.NewInt(l.Quantity), big.NewInt(l.UnitAmount)))
			lines, currencies = append(lines, l), append(currencies, "EUR")
		}
		got, err := total(lines, currencies)
		if exact.IsInt64() && (err != nil || got.amount != exact.Int64()) || !exact.IsInt64() && !errors.Is(err, errOverflow) {
			t.Fatalf("%v, %v, want %v", got, err, exact)
		}
	})
}
