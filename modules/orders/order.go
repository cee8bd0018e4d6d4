package orders

import (
	"cmp"
	"slices"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
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

// transitions are the legal ones.
var transitions = map[state][]state{
	pending:            {reserved, rejected, expired, cancelPending},
	reserved:           {paying, paymentUnknown, rejected, expired, cancelPending, needsReview},
	paymentUnknown:     {paying, rejected, expired, cancelPending, needsReview},
	paying:             {confirmed, rejected, cancelPending, needsReview},
	confirmed:          {partiallyFulfilled, fulfilled, cancelPending},
	partiallyFulfilled: {fulfilled, returned},
	fulfilled:          {returned},
	cancelPending:      {cancelled, needsReview},
	needsReview:        {confirmed, cancelPending},
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

// move is what the checkout does next with an order.
type move int

const (
	rest move = iota
	reserve
	authorize
	finish // Commit the stock, capture the payment, confirm.
	undo
)

// nextMove decides what to do with an order. A reason is set before anything is undone, so it tells, also after a kill, that the
// order goes back.
func nextMove(s state, reason string) move {
	switch {
	case s.settled():
		return rest
	case reason != "":
		return undo
	case s == pending:
		return reserve
	case s == paying:
		return finish
	default: // reserved, paymentUnknown
		return authorize
	}
}

// end returns the state of an order that has been undone.
func end(s state) state {
	if s == cancelPending {
		return cancelled
	}
	return rejected
}
