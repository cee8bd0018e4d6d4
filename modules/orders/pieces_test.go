package orders

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
)

func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, n, of, want int64 }{
		{100, 0, 3, 0}, {100, 1, 3, 33}, {100, 2, 3, 66}, {100, 3, 3, 100}, {0, 1, 3, 0},
		{math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64}, {math.MaxInt64, 1, 2, math.MaxInt64 / 2}, {math.MaxInt64, 9_999, 10_000, 9222449699651090329},
	} {
		if got := share(c.amount, c.n, c.of); got != c.want {
			t.Errorf("%d × %d / %d = %d, want %d", c.amount, c.n, c.of, got, c.want)
		}
	}
}

func TestWhatCanBeDoneWithPieces(t *testing.T) {
	t.Parallel()
	tallies := func() []tally {
		return []tally{{sku: "a", quantity: 3, paid: 100, shipped: 2, returned: 1}, {sku: "b", quantity: 2, paid: 50}}
	}
	for _, c := range []struct {
		name  string
		deed  deed
		named []schema.Pieces
		want  []schema.Pieces
		worth int64
		is    state
		err   string
	}{
		{"ship one", shipping, []schema.Pieces{{SKU: "b", Quantity: 1}}, []schema.Pieces{{SKU: "b", Quantity: 1}}, 25, partiallyFulfilled, ""},
		{"ship the rest", shipping, nil, []schema.Pieces{{SKU: "a", Quantity: 1}, {SKU: "b", Quantity: 2}}, 83, fulfilled, ""},
		{"ship in two words", shipping, []schema.Pieces{{SKU: "b", Quantity: 1}, {SKU: "a", Quantity: 1}, {SKU: "b", Quantity: 1}},
			[]schema.Pieces{{SKU: "a", Quantity: 1}, {SKU: "b", Quantity: 2}}, 83, fulfilled, ""},
		{"ship too many in two words", shipping, []schema.Pieces{{SKU: "b", Quantity: 2}, {SKU: "b", Quantity: 1}}, nil, 0, "", "b: 2 pieces can be shipped, not 3"},
		{"ship something else", shipping, []schema.Pieces{{SKU: "c", Quantity: 1}}, nil, 0, "", "c: 0 pieces can be shipped, not 1"},
		{"return the second of three", returning, []schema.Pieces{{SKU: "a", Quantity: 1}}, []schema.Pieces{{SKU: "a", Quantity: 1}}, 33, partiallyFulfilled, ""},
		{"return what never went", returning, []schema.Pieces{{SKU: "a", Quantity: 2}}, nil, 0, "", "a: 1 pieces can be returned, not 2"},
		{"cancel the rest", cancelling, nil, []schema.Pieces{{SKU: "a", Quantity: 1}, {SKU: "b", Quantity: 2}}, 83, fulfilled, ""},
	} {
		after := tallies()
		got, worth, err := c.deed.do(after, c.named)
		switch {
		case c.err != "" && (err == nil || err.Error() != c.err):
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		case c.err == "" && (err != nil || !slices.Equal(got, c.want) || worth != c.worth && c.deed.name != "shipped" || stateOf(after) != c.is):
			t.Errorf("%s: done with %v, worth %d, the order is %s, %v; want %v, %d, %s", c.name, got, worth, stateOf(after), err, c.want, c.worth, c.is)
		}
	}
}

// However the pieces of an order go and come back, what is given back is never more than was paid, it is all of that when no piece is
// the customer's any more, and the order only takes legal steps.
func TestPiecesAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var lines []schema.Line
		var paid int64
		for _, sku := range []string{"a", "b", "c"}[:rapid.IntRange(1, 3).Draw(r, "lines")] {
			l := schema.Line{SKU: sku, Quantity: rapid.Int64Range(1, 5).Draw(r, "quantity"), UnitAmount: rapid.Int64Range(0, 1000).Draw(r, "price")}
			lines, paid = append(lines, l), paid+l.Quantity*l.UnitAmount
		}
		tallies := talliesOf(lines)
		is, back := confirmed, int64(0)
		for range 20 {
			d := rapid.SampledFrom([]deed{shipping, shipping, returning, cancelling}).Draw(r, "deed")
			if d.name == "cancelled" && is != partiallyFulfilled {
				continue
			}
			named := []schema.Pieces{{SKU: rapid.SampledFrom(lines).Draw(r, "line").SKU, Quantity: rapid.Int64Range(1, 3).Draw(r, "pieces")}}
			if rapid.Bool().Draw(r, "all") && d.name != "returned" {
				named = nil
			}
			done, worth, err := d.do(tallies, named)
			if err != nil || len(done) == 0 {
				continue
			}
			if d.name != "shipped" {
				back += worth
			}
			next := stateOf(tallies)
			if next != is && !is.canBecome(next) {
				r.Fatalf("%s → %s is not legal: %+v", is, next, tallies)
			}
			is = next
			if back > paid || is == returned && back != paid {
				r.Fatalf("%d of %d went back of an order that is %s: %+v", back, paid, is, tallies)
			}
			for _, t := range tallies {
				if t.left() < 0 || t.out() < 0 {
					r.Fatalf("%+v", t)
				}
			}
		}
	})
}
