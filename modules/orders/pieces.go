package orders

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/cleave-go/cleave/modules/orders/internal/ent/schema"
)

// tally is what has become of a line of an order since that was confirmed.
type tally struct {
	sku            string
	quantity, paid int64
	// Pieces that were shipped, that came back of those, and that are not sent.
	shipped, returned, cancelled int64
}

// left returns how many pieces are to be shipped, and out how many were shipped and have not come back.
func (t tally) left() int64 { return t.quantity - t.shipped - t.cancelled }
func (t tally) out() int64  { return t.shipped - t.returned }

// worth returns what goes back for n more pieces: their share in what was paid for the line. It is rounded down, but so that all pieces
// together are worth what was paid.
func (t tally) worth(n int64) int64 {
	gone := t.returned + t.cancelled
	return share(t.paid, gone+n, t.quantity) - share(t.paid, gone, t.quantity)
}

// share returns amount × n / of, rounded down, for 0 ≤ n ≤ of. The product may be more than can be counted.
func share(amount, n, of int64) int64 {
	high, low := bits.Mul64(uint64(amount), uint64(n))
	quotient, _ := bits.Div64(high, low, uint64(of))
	return int64(quotient)
}

// talliesOf returns the lines of an order of which nothing has been shipped.
func talliesOf(lines []schema.Line) []tally {
	tallies := make([]tally, 0, len(lines))
	for _, l := range lines {
		tallies = append(tallies, tally{sku: l.SKU, quantity: l.Quantity, paid: l.UnitAmount*l.Quantity - l.Discount + l.Tax})
	}
	return tallies
}

// stateOf returns the state of an order that was confirmed, by what has become of its lines.
func stateOf(tallies []tally) state {
	var left, out, shipped int64
	for _, t := range tallies {
		left, out, shipped = left+t.left(), out+t.out(), shipped+t.shipped
	}
	switch {
	case shipped == 0:
		return confirmed
	case left > 0:
		return partiallyFulfilled
	case out > 0:
		return fulfilled
	default:
		return returned
	}
}

// deed is what is done with pieces of an order that was confirmed.
type deed struct {
	// name is what has been done then, for people.
	name string
	// there returns with how many pieces of a line it can be done, and count where that is counted.
	there func(tally) int64
	count func(*tally) *int64
}

var (
	shipping   = deed{"shipped", tally.left, func(t *tally) *int64 { return &t.shipped }}
	returning  = deed{"returned", tally.out, func(t *tally) *int64 { return &t.returned }}
	cancelling = deed{"cancelled", tally.left, func(t *tally) *int64 { return &t.cancelled }}
)

// errFewer says that a line of an order has fewer pieces than something shall be done with.
type errFewer struct {
	schema.Pieces
	there int64
	deed  string
}

func (e errFewer) Error() string {
	return fmt.Sprintf("%s: %d pieces can be %s, not %d", e.SKU, e.there, e.deed, e.Quantity)
}

// do counts pieces, or all with which it can be done if none are named. It returns what it was done with, one entry a SKU in their order,
// and what goes back for that.
func (d deed) do(tallies []tally, named []schema.Pieces) (done []schema.Pieces, worth int64, err error) {
	if len(named) == 0 {
		for _, t := range tallies {
			if n := d.there(t); n > 0 {
				named = append(named, schema.Pieces{SKU: t.sku, Quantity: n})
			}
		}
	}
	for _, p := range summed(named) {
		i := slices.IndexFunc(tallies, func(t tally) bool { return t.sku == p.SKU })
		if i < 0 {
			return nil, 0, errFewer{p, 0, d.name}
		}
		if there := d.there(tallies[i]); p.Quantity > there {
			return nil, 0, errFewer{p, there, d.name}
		}
		worth += tallies[i].worth(p.Quantity)
		*d.count(&tallies[i]) += p.Quantity
		done = append(done, p)
	}
	return done, worth, nil
}

// summed adds up pieces of the same SKU and sorts them by SKU.
func summed(pieces []schema.Pieces) []schema.Pieces {
	var sums []schema.Pieces
	for _, p := range pieces {
		if i := slices.IndexFunc(sums, func(s schema.Pieces) bool { return s.SKU == p.SKU }); i >= 0 {
			sums[i].Quantity += p.Quantity
			continue
		}
		sums = append(sums, p)
	}
	slices.SortFunc(sums, func(a, b schema.Pieces) int { return strings.Compare(a.SKU, b.SKU) })
	return sums
}

// reversalKind is why pieces are not the customer's. The words are those of the table.
type reversalKind string

const (
	byReturn       reversalKind = "return"
	byCancellation reversalKind = "cancellation"
)

// deed returns what is done with the pieces of a reversal.
func (k reversalKind) deed() deed {
	if k == byReturn {
		return returning
	}
	return cancelling
}

// reversalState is how far a reversal has come. The words are those of the table.
type reversalState string

const (
	reversalPending  reversalState = "pending"
	reversalSettled  reversalState = "settled"
	reversalToReview reversalState = "needs_review"
)
