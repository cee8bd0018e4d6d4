package orders

import (
	"cmp"
	"slices"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/saga"
)

// state is where an order is in its life. The words are those of the table.
type state string

const (
	pending            state = "pending"
	reserved           state = "reserved"
	paying             state = "paying"
	confirmed          state = "confirmed"
	partiallyFulfilled state = "partially_fulfilled"
	fulfilled          state = "fulfilled"
	returned           state = "returned"
	rejected           state = "rejected"
	expired            state = "expired"
	cancelled          state = "cancelled"
	paymentUnknown     state = "payment_unknown"
	cancelPending      state = "cancel_pending"
	needsReview        state = "needs_review"
)

// transitions are the legal ones. From needsReview an order goes on when a person has its checkout resumed, wherever that is.
var transitions = map[state][]state{
	pending:            {reserved, rejected, expired, cancelPending, needsReview},
	reserved:           {paying, paymentUnknown, rejected, expired, cancelPending, needsReview},
	paymentUnknown:     {paying, rejected, expired, cancelPending, needsReview},
	paying:             {confirmed, rejected, expired, cancelPending, needsReview},
	confirmed:          {partiallyFulfilled, fulfilled, cancelPending},
	partiallyFulfilled: {fulfilled, returned},
	fulfilled:          {returned},
	cancelPending:      {cancelled, needsReview},
	needsReview:        {reserved, paymentUnknown, paying, confirmed, cancelPending, rejected, expired, cancelled},
}

// canBecome reports whether an order may go from one state to another.
func (s state) canBecome(next state) bool { return slices.Contains(transitions[s], next) }

// settled reports whether nothing more will happen to the order until somebody asks for it.
func (s state) settled() bool {
	switch s {
	case pending, reserved, paying, paymentUnknown, cancelPending:
		return false
	default:
		return true
	}
}

var messageStates = map[state]ordersv1.OrderState{
	pending:            ordersv1.OrderState_ORDER_STATE_PENDING,
	reserved:           ordersv1.OrderState_ORDER_STATE_RESERVED,
	paying:             ordersv1.OrderState_ORDER_STATE_PAYING,
	confirmed:          ordersv1.OrderState_ORDER_STATE_CONFIRMED,
	partiallyFulfilled: ordersv1.OrderState_ORDER_STATE_PARTIALLY_FULFILLED,
	fulfilled:          ordersv1.OrderState_ORDER_STATE_FULFILLED,
	returned:           ordersv1.OrderState_ORDER_STATE_RETURNED,
	rejected:           ordersv1.OrderState_ORDER_STATE_REJECTED,
	expired:            ordersv1.OrderState_ORDER_STATE_EXPIRED,
	cancelled:          ordersv1.OrderState_ORDER_STATE_CANCELLED,
	paymentUnknown:     ordersv1.OrderState_ORDER_STATE_PAYMENT_UNKNOWN,
	cancelPending:      ordersv1.OrderState_ORDER_STATE_CANCEL_PENDING,
	needsReview:        ordersv1.OrderState_ORDER_STATE_NEEDS_REVIEW,
}

// progress is what changes in an order's life.
type progress struct {
	state                            state
	reason, reservationID, paymentID string
	sequence                         int64 // How many changes there have been.
}

// change is an entry of an order's log: what of its progress it alters, and why. What it leaves empty stays as it is.
type change struct {
	state                            state
	reason, reservationID, paymentID string
	note                             string // For people.
	// sequence is the number that it must have; 0 if any will do.
	sequence int64
}

// after returns the progress after a change. Folded over the whole log, from nothing, it gives the order as it is.
func (p progress) after(c change) progress {
	p.sequence++
	p.state = cmp.Or(c.state, p.state)
	p.reason = cmp.Or(c.reason, p.reason)
	p.reservationID = cmp.Or(c.reservationID, p.reservationID)
	p.paymentID = cmp.Or(c.paymentID, p.paymentID)
	return p
}

// legal reports whether a change may follow: the first one places the order, later ones keep to [transitions].
func (p progress) legal(c change) bool {
	if p.sequence == 0 {
		return c.state == pending
	}
	return c.state == "" || p.state.canBecome(c.state)
}

// before returns the states from which an order may become next.
func before(next state) []string {
	var from []string
	for s := range transitions {
		if s.canBecome(next) {
			from = append(from, string(s))
		}
	}
	slices.Sort(from)
	return from
}

// The reasons of orders that the checkout itself knows.
const (
	reasonCancelled       = "CANCELLED_BY_CUSTOMER"
	reasonCancelledByShop = "CANCELLED_BY_SHOP"
	// reasonExpired is what inventory says of a hold that has ended.
	reasonExpired = "RESERVATION_STATE_EXPIRED"
)

// moved says what a boundary of the checkout makes of its order, and in which words; nothing if the order stays as it is. An order
// that goes back does not move before all is undone.
func moved(c saga.Change[purchase]) (next state, note string) {
	switch {
	case c.What == saga.GotStuck:
		return needsReview, c.Note
	case c.Undone:
		return end(c.Reason), "stock and money given back"
	case c.Reason != "":
		return "", ""
	case c.What == saga.Did && c.Step == stepReserve:
		return reserved, "stock reserved"
	case c.What == saga.Waiting && c.Step == stepAuthorize && c.State.Silences == 1:
		return paymentUnknown, c.Note
	case c.What == saga.Did && c.Step == stepAuthorize && c.State.Total == 0:
		return paying, "nothing to pay"
	case c.What == saga.Did && c.Step == stepAuthorize:
		return paying, "payment authorized"
	case c.Done && c.State.Total == 0:
		return confirmed, "nothing to pay"
	case c.Done:
		return confirmed, "payment captured"
	default:
		return "", ""
	}
}

// usualSequence returns the number of the change that confirms an order, if nobody but its checkout has changed it and no person had to
// look at it: placed, reserved, perhaps waiting for the payment provider, paying, confirmed.
func usualSequence(p purchase) int64 {
	if p.Silences > 0 {
		return 5
	}
	return 4
}

// end returns the state of an order that has been undone for a reason.
func end(reason string) state {
	switch reason {
	case reasonCancelled, reasonCancelledByShop:
		return cancelled
	case reasonExpired:
		return expired
	default:
		return rejected
	}
}
