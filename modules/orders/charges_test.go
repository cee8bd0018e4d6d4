package orders

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
)

// Whatever is ordered, with whatever coupon and rates: lines − discount + tax + shipping is the total, what the lines say adds up to what
// the order says, and no line is worth less than nothing.
func TestChargesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var lines []schema.Line
		var subtotal int64
		for range rapid.IntRange(1, 6).Draw(r, "lines") {
			l := schema.Line{Quantity: rapid.Int64Range(1, 10_000).Draw(r, "quantity"), UnitAmount: rapid.Int64Range(0, 1_000_000).Draw(r, "price")}
			lines, subtotal = append(lines, l), subtotal+l.Quantity*l.UnitAmount
		}
		var c *ent.Coupon
		switch rapid.IntRange(0, 2).Draw(r, "coupon") {
		case 1:
			c = &ent.Coupon{ID: "cpn_1", Percent: rapid.Int32Range(1, 100).Draw(r, "percent")}
		case 2:
			c = &ent.Coupon{ID: "cpn_1", Amount: rapid.Int64Range(1, 1_000_000_000).Draw(r, "amount")}
		}
		f := flatRate{basisPoints: rapid.Int64Range(0, oneInBasisPoints).Draw(r, "tax")}
		if rapid.Bool().Draw(r, "shipping") {
			f.fees = map[string]int64{"EUR": rapid.Int64Range(0, 10_000).Draw(r, "fee")}
		}
		charges, total, err := (&service{calculator: f}).charge(t.Context(), lines, price{subtotal, "EUR"}, c)
		if err != nil {
			r.Fatal(err)
		}
		var discount, tax, paid int64
		for i, l := range lines {
			gross := l.Quantity * l.UnitAmount
			if l.Discount < 0 || l.Discount > gross || l.Tax < 0 || l.Tax > gross-l.Discount {
				r.Fatalf("line %d: %+v", i, l)
			}
			discount, tax = discount+l.Discount, tax+l.Tax
		}
		for _, t := range talliesOf(lines) {
			paid += t.paid
		}
		if discount != charges.Discount || tax != charges.Tax || subtotal-charges.Discount+charges.Tax+charges.Shipping != total {
			r.Fatalf("%d − %d + %d + %d = %d; the lines say %d and %d", subtotal, charges.Discount, charges.Tax, charges.Shipping, total, discount, tax)
		}
		if paid+charges.Shipping != total || subtotalOf(total, charges) != subtotal {
			r.Fatalf("%d are paid for lines of an order of %d with %d for shipping", paid, total, charges.Shipping)
		}
	})
}

func TestChargesThatCannotBeCounted(t *testing.T) {
	t.Parallel()
	for _, f := range []flatRate{{basisPoints: 1}, {fees: map[string]int64{"EUR": 1}}} {
		lines := []schema.Line{{Quantity: 1, UnitAmount: math.MaxInt64}}
		if _, _, err := (&service{calculator: f}).charge(t.Context(), lines, price{math.MaxInt64, "EUR"}, nil); err == nil {
			t.Errorf("%+v: more than can be counted is a total", f)
		}
	}
	if _, _, err := (&service{calculator: flatRate{fees: map[string]int64{"EUR": 1}}}).charge(t.Context(), nil, price{1, "USD"}, nil); err == nil {
		t.Error("there is a price of shipping in another currency")
	}
}

// Halves go up.
func TestHalfUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, n, of, want int64 }{
		{1, 1, 2, 1}, {1, 4999, 10_000, 0}, {3, 1, 2, 2}, {1990, 1900, 10_000, 378}, {0, 1, 2, 0}, {math.MaxInt64, 1, 1, math.MaxInt64},
		{5, 1, 3, 2}, {4, 1, 3, 1},
	} {
		if got := halfUp(c.amount, c.n, c.of); got != c.want {
			t.Errorf("%d × %d / %d is about %d, want %d", c.amount, c.n, c.of, got, c.want)
		}
	}
}

func TestRatesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "19": 1900, "7.25": 725, "7.5": 750, "100": 10_000} {
		if got, err := parseTax(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "101", "100.01", "7.255", "7,5", "x", "7.-5"} {
		if got, err := parseTax(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
	if got, err := parseFees("490 EUR, 550 USD"); err != nil || len(got) != 2 || got["EUR"] != 490 || got["USD"] != 550 {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"490", "EUR 490", "4.90 EUR", "-1 EUR", "490 eur", "490 EURO"} {
		if got, err := parseFees(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}
