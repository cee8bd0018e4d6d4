package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/payments/sandbox"
)

// shelf is what the shop sells: things that there are enough of, and one that everybody wants.
type shelf struct {
	plain []string
	hot   string
	// hotPieces is how many there are of it. More than twice as many are wanted.
	hotPieces int64
}

// plenty is how many pieces there are of what is not hot: more than a run sells.
const plenty = 1_000_000

func newShelf(checkouts int) shelf {
	s := shelf{hot: "HOT", hotPieces: int64(max(checkouts/40, 1))}
	for i := range 30 {
		s.plain = append(s.plain, fmt.Sprintf("PLAIN-%02d", i))
	}
	return s
}

// skus returns all that is on the shelf.
func (s shelf) skus() []string { return append(slices.Clone(s.plain), s.hot) }

// pieces returns how many pieces there are of a SKU at first.
func (s shelf) pieces(sku string) int64 {
	if sku == s.hot {
		return s.hotPieces
	}
	return plenty
}

// wish is what a customer wants. It follows from the seed and the number of the checkout.
type wish struct {
	lines  map[string]int64 // Pieces by SKU.
	method string
	// cancels says that the customer takes the order back, after a while.
	cancels bool
	after   time.Duration
	// repeats says that the customer orders again, by the same request, what has been confirmed already.
	repeats bool
	// stays says that the customer watches what becomes of the order.
	stays bool
	// guest says that the customer has no account, and coupon that one is used as long as there are any.
	guest, coupon bool
	// reprices says that the shop changes the price of something in the cart before it is ordered.
	reprices bool
	// handling is what the shop does with the order when it is paid.
	handling handling
}

// handling is what becomes of an order that is paid.
type handling int

const (
	leftAlone   handling = iota
	sent                 // All of it, in one parcel.
	sentInParts          // A piece, and then the rest.
	begun                // A piece, and no more for now.
	endedEarly           // A piece, and the rest is cancelled.
	partlyBack           // All is sent, and a piece comes back.
	allBack              // All is sent and comes back.
	handlings
)

// methods are the ways to pay, by shares. A provider that never answers is not among them: such orders stay open.
var methods = slices.Concat(
	slices.Repeat([]string{sandbox.MethodVisa}, 30),
	slices.Repeat([]string{sandbox.MethodDeclined}, 5), slices.Repeat([]string{sandbox.MethodInsufficientFunds}, 4),
	slices.Repeat([]string{sandbox.MethodChargeThenTimeout}, 5), slices.Repeat([]string{sandbox.MethodTimeoutThenCharge}, 5),
	[]string{sandbox.MethodSlow},
)

// declines are the methods that the provider refuses.
var declines = map[string]bool{sandbox.MethodDeclined: true, sandbox.MethodInsufficientFunds: true}

func newWish(seed uint64, number int, s shelf, methods []string) wish {
	r := rand.New(rand.NewPCG(seed, uint64(number)))
	w := wish{
		lines: map[string]int64{}, method: methods[r.IntN(len(methods))], cancels: r.IntN(6) == 0,
		repeats: r.IntN(5) == 0, stays: r.IntN(4) == 0, guest: r.IntN(3) == 0, coupon: r.IntN(4) == 0, reprices: r.IntN(25) == 0,
	}
	if r.IntN(2) == 0 { // Half of those who cancel do it at once.
		w.after = time.Duration(r.Int64N(int64(2 * time.Second)))
	}
	for range 1 + r.IntN(4) {
		w.lines[s.plain[r.IntN(len(s.plain))]] = 1 + r.Int64N(3)
	}
	if r.IntN(8) == 0 {
		// Whoever gets one pays and keeps it, so that in the end exactly all are sold.
		w.lines[s.hot], w.cancels = 1, false
		if declines[w.method] {
			w.method = sandbox.MethodVisa
		}
	}
	// It is sure to be paid.
	if w.method == sandbox.MethodVisa && !w.cancels && w.lines[s.hot] == 0 && r.IntN(3) == 0 {
		w.handling = handling(r.IntN(int(handlings)))
	}
	return w
}

// handled says what became of an order that was paid.
func (p purchase) handled() ordersv1.OrderState {
	left, out, shipped := int64(0), int64(0), int64(0)
	for sku, quantity := range p.lines {
		left += quantity - p.shipped[sku] - p.dropped[sku]
		out += p.shipped[sku] - p.back[sku]
		shipped += p.shipped[sku]
	}
	switch {
	case shipped == 0:
		return ordersv1.OrderState_ORDER_STATE_CONFIRMED
	case left > 0:
		return ordersv1.OrderState_ORDER_STATE_PARTIALLY_FULFILLED
	case out > 0:
		return ordersv1.OrderState_ORDER_STATE_FULFILLED
	default:
		return ordersv1.OrderState_ORDER_STATE_RETURNED
	}
}

// end says in which states an order may end, and why.
func (p purchase) end(s shelf) map[ordersv1.OrderState]string {
	switch {
	case p.cancelled:
		return map[ordersv1.OrderState]string{ordersv1.OrderState_ORDER_STATE_CANCELLED: "CANCELLED_BY_CUSTOMER"}
	case declines[p.method]:
		return map[ordersv1.OrderState]string{ordersv1.OrderState_ORDER_STATE_REJECTED: "CARD_DECLINED"}
	case p.lines[s.hot] > 0:
		return map[ordersv1.OrderState]string{ordersv1.OrderState_ORDER_STATE_CONFIRMED: "", ordersv1.OrderState_ORDER_STATE_REJECTED: "OUT_OF_STOCK"}
	default:
		return map[ordersv1.OrderState]string{p.handled(): ""}
	}
}
