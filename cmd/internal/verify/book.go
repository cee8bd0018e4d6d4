package verify

import (
	"slices"
	"strconv"
	"strings"
	"time"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

// book is what a look knows. Facts are entered in this order: orders, and then those of others about them, because an order that had ended
// when it was read is one for which everything has been done. What can be told of a fact at once is; close tells the rest.
type book struct {
	*findings
	deadline time.Duration

	orders map[string]*order
	ids    []string // Of the orders, in the order in which they came.

	payments map[string]payment // by charge, until the charge is found
	underWay bool               // Some payment is not at rest.

	letters map[string][]letter // by event
	logged  bool                // The log of the events of orders has been read.

	unseen map[string]string // By rule, why it was not looked at.

	tally tally
}

func newBook(deadline time.Duration) *book {
	return &book{
		findings: newFindings(), deadline: deadline, orders: map[string]*order{}, payments: map[string]payment{}, letters: map[string][]letter{},
		unseen: map[string]string{},
	}
}

// order is what is known of an order, and of what others have done for it.
type order struct {
	id    string
	known bool // Orders has it. Otherwise others have heard of it.
	state ordersv1.OrderState
	age   time.Duration // How long ago it was placed, or, if it is being cancelled, that was begun.

	total         int64
	currency      string
	lines         string
	reservationID string
	problem       string // of its log
	pieces        []*ordersv1.OrderFactLine
	// What goes back for what came back or is not sent: as far as that is settled, and in all.
	reversed, reversing int64
	told                bool // How it ended is in the log of events.

	committed          int      // How many reservations were committed for it.
	unanswered         bool     // The provider has yet to tell of something for it.
	captured, refunded int64    // By the provider, in its currency.
	foreign            string   // A currency in which it was charged and that is not its own.
	setAside           string   // A charge that may still take money.
	kept               []string // The charges that have taken money and not given it all back.
}

// ended reports whether nothing is left of the order.
func (o *order) ended() bool {
	switch o.state {
	case ordersv1.OrderState_ORDER_STATE_CANCELLED, ordersv1.OrderState_ORDER_STATE_REJECTED, ordersv1.OrderState_ORDER_STATE_EXPIRED:
		return true
	}
	return false
}

// bought reports whether the order was confirmed, whatever followed.
func (o *order) bought() bool {
	switch o.state {
	case ordersv1.OrderState_ORDER_STATE_CONFIRMED, ordersv1.OrderState_ORDER_STATE_PARTIALLY_FULFILLED,
		ordersv1.OrderState_ORDER_STATE_FULFILLED, ordersv1.OrderState_ORDER_STATE_RETURNED:
		return true
	}
	return false
}

// open reports whether something has to happen yet. What needs a review does.
func (o *order) open() bool { return o.known && !o.ended() && !o.bought() }

// ending returns the type of the event that tells how the checkout of the order ended; "" if it has not.
func (o *order) ending() string {
	if o.bought() {
		return "orders.v1.OrderConfirmed"
	}
	switch o.state {
	case ordersv1.OrderState_ORDER_STATE_CANCELLED:
		return "orders.v1.OrderCancelled"
	case ordersv1.OrderState_ORDER_STATE_REJECTED:
		return "orders.v1.OrderRejected"
	case ordersv1.OrderState_ORDER_STATE_EXPIRED:
		return "orders.v1.OrderExpired"
	}
	return ""
}

func (o *order) word() string { return word(o.state, "ORDER_STATE_") }

// order enters an order.
func (b *book) order(fact *ordersv1.OrderFact, now time.Time) {
	since := fact.GetCreateTime()
	if fact.GetState() == ordersv1.OrderState_ORDER_STATE_CANCEL_PENDING {
		since = fact.GetUpdateTime()
	}
	o := &order{
		id: fact.GetId(), known: true, state: fact.GetState(), age: now.Sub(since.AsTime()),
		total: fact.GetTotal().GetAmount(), currency: fact.GetTotal().GetCurrency(),
		reservationID: fact.GetReservationId(), problem: fact.GetLogProblem(), pieces: fact.GetLines(),
		reversed: fact.GetReversed().GetAmount(), reversing: fact.GetReversing().GetAmount(),
	}
	pieces := make([]string, 0, len(fact.GetLines()))
	for _, l := range fact.GetLines() {
		pieces = append(pieces, line(l.GetSku(), l.GetQuantity()))
	}
	slices.Sort(pieces) // As in lines.
	o.lines = strings.Join(pieces, ", ")
	b.orders[o.id] = o
	b.ids = append(b.ids, o.id)
	b.couponOf(fact, o)
}

// of returns what is known of what something is for.
func (b *book) of(reference string) *order {
	o := b.orders[reference]
	if o == nil {
		o = &order{id: reference}
		b.orders[reference] = o
		b.ids = append(b.ids, reference)
	}
	return o
}

// close checks what can be told when all has been entered.
func (b *book) close() {
	if b.underWay {
		b.unseen[ledgerClearing] = "a payment is under way"
	}
	if !b.logged {
		b.unseen[orderTold] = "nobody listens to orders, whose log is read subscriber by subscriber"
	}
	for _, id := range b.ids {
		o := b.orders[id]
		b.charged(o)
		if !o.known {
			continue
		}
		b.check(orderLog, o.id, o.problem == "", "the log of order %s is wrong: %s", o.id, o.problem)
		b.check(orderOpen, o.id, !o.open() || o.age < b.deadline, "order %s is %s since %s: see cleave sagas show %s", o.id, o.word(), ago(o.age), o.id)
		if ending := o.ending(); b.logged && ending != "" {
			b.check(orderTold, o.id, o.told, "order %s is %s, but no event %s of it is in the log of orders", o.id, o.word(), ending)
		}
		if o.bought() {
			b.check(holdConfirmed, o.id, o.committed == 1, "order %s is %s and has %d reservations that are committed; it names %s",
				o.id, o.word(), o.committed, none(o.reservationID))
		}
	}
	b.unmatched()
}

// isOrder reports whether a reference is the id of an order. Others may reserve and charge for things of their own.
func isOrder(reference string) bool { return strings.HasPrefix(reference, "ord_") }

// word makes of a state in a contract the word for people: ORDER_STATE_CANCEL_PENDING is "cancel pending".
func word(state interface{ String() string }, prefix string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(state.String(), prefix)), "_", " ")
}

// none makes an empty id readable.
func none(id string) string {
	if id == "" {
		return "none"
	}
	return id
}

// ago writes how long something has lasted.
func ago(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

func lines(list []*inventoryv1.Line) string {
	pieces := make([]string, 0, len(list))
	for _, l := range list {
		pieces = append(pieces, line(l.GetSku(), l.GetQuantity()))
	}
	slices.Sort(pieces)
	return strings.Join(pieces, ", ")
}

func line(sku string, quantity int64) string { return strconv.FormatInt(quantity, 10) + " × " + sku }
