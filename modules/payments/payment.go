package payments

import (
	"fmt"
	"slices"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
)

// state is where a payment is in its life. The words are those of the table. It follows from the payment's attempts, so unknown needs
// to remember nothing: the attempt that was not answered says what was being done, and its outcome says what comes next.
type state string

const (
	created           state = "created"
	authorizing       state = "authorizing"
	authorized        state = "authorized"
	capturing         state = "capturing"
	captured          state = "captured"
	partiallyRefunded state = "partially_refunded"
	refunded          state = "refunded"
	declined          state = "declined"
	voided            state = "voided"
	unknown           state = "unknown"
	disputed          state = "disputed" // Nothing opens a dispute yet.
)

// transitions are the legal ones. A refusal puts the payment back: capturing → authorized when there is nothing to take any more.
var transitions = map[state][]state{
	created:           {authorizing},
	authorizing:       {authorized, declined, unknown},
	authorized:        {capturing, voided, unknown},
	capturing:         {captured, authorized, unknown},
	captured:          {partiallyRefunded, refunded, unknown},
	partiallyRefunded: {refunded, unknown},
	unknown:           {authorized, declined, voided, captured, partiallyRefunded, refunded},
}

// canBecome reports whether a payment may go from one state to another.
func (s state) canBecome(next state) bool { return slices.Contains(transitions[s], next) }

var messageStates = map[state]paymentsv1.PaymentState{
	created:           paymentsv1.PaymentState_PAYMENT_STATE_CREATED,
	authorizing:       paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZING,
	authorized:        paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED,
	capturing:         paymentsv1.PaymentState_PAYMENT_STATE_CAPTURING,
	captured:          paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED,
	partiallyRefunded: paymentsv1.PaymentState_PAYMENT_STATE_PARTIALLY_REFUNDED,
	refunded:          paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED,
	declined:          paymentsv1.PaymentState_PAYMENT_STATE_DECLINED,
	voided:            paymentsv1.PaymentState_PAYMENT_STATE_VOIDED,
	unknown:           paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN,
	disputed:          paymentsv1.PaymentState_PAYMENT_STATE_DISPUTED,
}

// kind is what an attempt tries. The words are those of the table.
type kind string

const (
	authorize kind = "authorize"
	capture   kind = "capture"
	void      kind = "void"
	refund    kind = "refund"
)

// outcome is what is known of an attempt. The words are those of the table.
type outcome string

const (
	pending    outcome = "pending"    // The provider is being asked, or is about to be.
	unanswered outcome = "unanswered" // It was asked and did not answer; it may have done it.
	succeeded  outcome = "succeeded"
	refused    outcome = "refused"
)

// open reports whether the provider has yet to tell.
func (o outcome) open() bool { return o == pending || o == unanswered }

// refundState returns what the outcome of a refund is called in the contract.
func (o outcome) refundState() paymentsv1.RefundState {
	switch o {
	case succeeded:
		return paymentsv1.RefundState_REFUND_STATE_SETTLED
	case refused:
		return paymentsv1.RefundState_REFUND_STATE_FAILED
	default:
		return paymentsv1.RefundState_REFUND_STATE_PENDING
	}
}

// attempt is something that the provider is asked to do. One without an id is not written down yet.
type attempt struct {
	id      string
	kind    kind
	amount  int64
	outcome outcome
}

// cancellation is what became of the wish that nothing be charged. The words are those of the table.
type cancellation string

const (
	notCancelled    cancellation = ""
	cancelRequested cancellation = "requested" // Payments sees to it, whatever becomes known.
	cancelRefused   cancellation = "refused"   // The provider would not give the money free or back: somebody has to look.
)

// payment is what was tried to be paid an amount, oldest first.
type payment struct {
	amount       int64
	attempts     []attempt
	cancellation cancellation
}

// state returns where the payment is.
func (p payment) state() state {
	taken, returned := p.sum(capture, succeeded), p.sum(refund, succeeded)
	switch {
	case p.any(func(a attempt) bool { return a.outcome == unanswered }):
		return unknown
	case p.has(capture, pending):
		return capturing
	case taken > 0 && returned == taken:
		return refunded
	case returned > 0:
		return partiallyRefunded
	case taken > 0:
		return captured
	case p.has(void, succeeded):
		return voided
	case p.has(authorize, succeeded):
		return authorized
	case p.has(authorize, refused):
		return declined
	case p.has(authorize, pending):
		return authorizing
	}
	return created
}

// sum adds up the attempts of a kind with one of the outcomes.
func (p payment) sum(k kind, outcomes ...outcome) int64 {
	var total int64 // Cannot overflow: an attempt is made only if the sum stays within the amount.
	for _, a := range p.attempts {
		if a.kind == k && slices.Contains(outcomes, a.outcome) {
			total += a.amount
		}
	}
	return total
}

func (p payment) any(is func(attempt) bool) bool { return slices.ContainsFunc(p.attempts, is) }

func (p payment) has(k kind, o outcome) bool {
	return p.any(func(a attempt) bool { return a.kind == k && a.outcome == o })
}

// alive returns the last attempt of a kind that was not refused.
func (p payment) alive(k kind) (attempt, bool) {
	for _, a := range slices.Backward(p.attempts) {
		if a.kind == k && a.outcome != refused {
			return a, true
		}
	}
	return attempt{}, false
}

// toAuthorize returns the attempt that authorizes a new payment.
func (p payment) toAuthorize() attempt {
	return attempt{kind: authorize, amount: p.amount, outcome: pending}
}

// toCapture returns the attempt that captures the payment: the one that does or did already, or else a new one.
func (p payment) toCapture() (attempt, error) { return p.toEnd(capture) }

// toVoid returns the attempt that voids the payment: the one that does or did already, or else a new one.
func (p payment) toVoid() (attempt, error) { return p.toEnd(void) }

// toEnd begins what ends an authorization.
func (p payment) toEnd(k kind) (attempt, error) {
	if a, ok := p.alive(k); ok {
		return a, nil
	}
	// While one is under way, the other has to wait for its outcome. What is cancelled is not captured any more.
	if p.state() != authorized || k == capture && p.cancellation != notCancelled || p.any(func(a attempt) bool { return a.outcome.open() }) {
		return attempt{}, p.wrongState(k)
	}
	return attempt{kind: k, amount: p.amount, outcome: pending}, nil
}

// toRefund returns a new attempt that returns the amount. The amount 0 asks for the rest; when nothing is left, that is the attempt
// that returns or has returned the last of it. Refunds under way count as returned, because each may still succeed.
func (p payment) toRefund(amount int64) (attempt, error) {
	taken := p.sum(capture, succeeded)
	if taken == 0 {
		return attempt{}, p.wrongState(refund)
	}
	rest := taken - p.sum(refund, pending, unanswered, succeeded)
	if amount == 0 {
		if a, ok := p.alive(refund); ok && rest == 0 {
			return a, nil
		}
		amount = rest
	}
	if amount > rest {
		return attempt{}, errTooMuch{amount, rest}
	}
	return attempt{kind: refund, amount: amount, outcome: pending}, nil
}

// toCancel returns what comes next for a payment of which nothing shall be charged: an attempt that the provider has yet to tell about, or
// else a new one that gives the money free or back. There is none if nothing is charged, or if the provider has refused.
func (p payment) toCancel() (a attempt, found bool) {
	for _, a := range p.attempts {
		if a.outcome.open() {
			return a, true
		}
	}
	if p.cancellation == cancelRefused {
		return attempt{}, false
	}
	switch p.state() {
	case authorized:
		return attempt{kind: void, amount: p.amount, outcome: pending}, true
	case captured, partiallyRefunded:
		rest := p.sum(capture, succeeded) - p.sum(refund, succeeded)
		return attempt{kind: refund, amount: rest, outcome: pending}, true
	}
	return attempt{}, false
}

// refuses reports whether an outcome means that the provider will not give the money free or back. What it never received says nothing
// of that.
func (k kind) refuses(o outcome, declineCode string) bool {
	return (k == void || k == refund) && o == refused && declineCode != neverReceived
}

// cancelled returns how far a cancellation has come.
func (p payment) cancelled() paymentsv1.Cancellation {
	switch _, more := p.toCancel(); {
	case more:
		return paymentsv1.Cancellation_CANCELLATION_UNDER_WAY
	case p.state() == authorized || p.state() == captured || p.state() == partiallyRefunded:
		return paymentsv1.Cancellation_CANCELLATION_REFUSED
	}
	return paymentsv1.Cancellation_CANCELLATION_DONE
}

// errWrongState says that a payment cannot be captured, voided or refunded where it is.
type errWrongState struct {
	kind      kind
	state     state
	cancelled bool
	underWay  []kind
}

func (p payment) wrongState(k kind) errWrongState {
	err := errWrongState{kind: k, state: p.state(), cancelled: k == capture && p.cancellation != notCancelled}
	for _, a := range p.attempts {
		if a.outcome.open() {
			err.underWay = append(err.underWay, a.kind)
		}
	}
	return err
}

func (e errWrongState) Error() string {
	if e.cancelled {
		return fmt.Sprintf("%s is not possible: the payment is cancelled", e.kind)
	}
	if len(e.underWay) > 0 {
		return fmt.Sprintf("%s is not possible while it is %s and the outcome of %s is not known", e.kind, e.state, e.underWay[0])
	}
	return fmt.Sprintf("%s is not possible while it is %s", e.kind, e.state)
}

// errTooMuch says that a refund is more than there is to return.
type errTooMuch struct{ amount, rest int64 }

func (e errTooMuch) Error() string {
	return fmt.Sprintf("%d cannot be returned: %d are left of what was captured", e.amount, e.rest)
}
