package orders

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"connectrpc.com/connect"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga/sagatest"
)

// Bank is what payments promises, in memory, and the provider behind it. An attempt is written down before the provider is asked, under a
// key of the attempt, and the provider is asked again until the outcome is known. TestModelOfTheBankIsPayments compares it with the
// module.
type Bank struct {
	paymentsv1connect.PaymentServiceClient

	payments []payment
	kept     map[string]promise // by method and request id

	// The provider's.
	charges    []charge
	operations map[string]operation // by key

	// What a test breaks: that what was revoked is refused, and that the provider is asked again under the same key.
	forgets, freshKeys bool
	// generous providers refuse nothing, so that what a test breaks shows where nothing is undone.
	generous bool
	asked    int // how often, if keys are fresh
}

// NoMoney is the payment method of a card that is always declined.
const NoMoney = "pm_card_declined"

type payment struct {
	reference string
	method    string
	amount    int64
	charge    int // the provider's
	cancelled bool
	attempts  []attempt
}

// attempt is something that the provider is asked to do.
type attempt struct{ kind, outcome string }

// The kinds and outcomes of attempts.
const (
	authorize, capture, void, refund = "authorize", "capture", "void", "refund"
	open, succeeded, refused         = "open", "succeeded", "refused"
)

// promise is what a request has come to: an attempt of a payment, none, or that it is revoked.
type promise struct {
	request          string
	payment, attempt int
	none, revoked    bool
}

// charge is what the provider knows of one.
type charge struct {
	reference             string
	held, captured, given int64 // given: back
}

// operation is what the provider has done under a key.
type operation struct {
	charge  int
	outcome string
}

// NewBank returns one that knows of nothing.
func NewBank() Bank {
	return Bank{kept: map[string]promise{}, operations: map[string]operation{}}
}

func (b *Bank) clone() Bank {
	c := *b
	c.payments, c.charges, c.kept, c.operations = slices.Clone(b.payments), slices.Clone(b.charges), maps.Clone(b.kept), maps.Clone(b.operations)
	for i := range c.payments {
		c.payments[i].attempts = slices.Clone(b.payments[i].attempts)
	}
	return c
}

func (b *Bank) fingerprint() string {
	return fmt.Sprint(b.payments, b.kept, b.charges, b.operations, b.asked)
}

func (p *payment) has(kind, outcome string) bool {
	return slices.ContainsFunc(p.attempts, func(a attempt) bool { return a == attempt{kind, outcome} })
}

// open returns the attempt that the provider has yet to tell about, or -1.
func (p *payment) open() int {
	return slices.IndexFunc(p.attempts, func(a attempt) bool { return a.outcome == open })
}

func (p *payment) state() paymentsv1.PaymentState {
	switch {
	case p.open() >= 0:
		return paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN
	case p.has(refund, succeeded):
		return paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED
	case p.has(capture, succeeded):
		return paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED
	case p.has(void, succeeded):
		return paymentsv1.PaymentState_PAYMENT_STATE_VOIDED
	case p.has(authorize, succeeded):
		return paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED
	}
	return paymentsv1.PaymentState_PAYMENT_STATE_DECLINED
}

// cancelling returns the attempt that comes next for a payment that is cancelled, or -1.
func (p *payment) cancelling() int {
	if i := p.open(); i >= 0 || p.has(void, refused) || p.has(refund, refused) {
		return i
	}
	switch p.state() {
	case paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED:
		p.attempts = append(p.attempts, attempt{void, open})
	case paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED:
		p.attempts = append(p.attempts, attempt{refund, open})
	default:
		return -1
	}
	return len(p.attempts) - 1
}

func (b *Bank) message(i int) *paymentsv1.Payment {
	return &paymentsv1.Payment{Id: fmt.Sprint("pay_", i), Reference: b.payments[i].reference, State: b.payments[i].state()}
}

// finish asks the provider for the outcome of an attempt, and for what follows if the payment is cancelled, until it does not answer.
func (b *Bank) finish(ctx context.Context, i, j int) {
	p := &b.payments[i]
	for j >= 0 && p.attempts[j].outcome == open {
		key := fmt.Sprint("att_", i, "_", j)
		if b.freshKeys {
			b.asked++
			key = fmt.Sprint(key, "_", b.asked)
		}
		if sagatest.May(ctx, "the provider is not reached") {
			return
		}
		o := b.operate(ctx, key, p, p.attempts[j].kind)
		if sagatest.May(ctx, "the provider's answer is lost") {
			return
		}
		p.attempts[j].outcome = o.outcome
		p.charge = o.charge
		if !p.cancelled {
			return
		}
		j = p.cancelling()
	}
}

// operate is the provider at work.
func (b *Bank) operate(ctx context.Context, key string, p *payment, kind string) operation {
	if o, done := b.operations[key]; done {
		return o
	}
	o := operation{p.charge, refused}
	if kind == authorize {
		o.charge = len(b.charges)
		b.charges = append(b.charges, charge{reference: p.reference})
	}
	c := &b.charges[o.charge]
	switch {
	case kind == authorize && p.method != NoMoney && (b.generous || !sagatest.May(ctx, "the card is declined")):
		c.held, o.outcome = p.amount, succeeded
	case kind == capture && c.held > 0 && (b.generous || !sagatest.May(ctx, "the provider refuses to capture")):
		c.held, c.captured, o.outcome = 0, c.held, succeeded
	case kind == void && c.held > 0:
		c.held, o.outcome = 0, succeeded
	case kind == refund && c.captured > c.given:
		c.given, o.outcome = c.captured, succeeded
	}
	b.operations[key] = o
	return o
}

// once writes down what is asked for under a request id, or returns what was. The request is told in words.
func (b *Bank) once(method, requestID, request string, write func() (promise, error)) (promise, error) {
	key := method + " " + requestID
	got, again := b.kept[key]
	switch {
	case got.revoked:
		return got, errRevoked
	case again && got.request != request:
		return got, errReused
	case !again:
		var err error
		if got, err = write(); err != nil {
			return got, err
		}
		got.request = request
		b.kept[key] = got
	}
	return got, nil
}

func (b *Bank) AuthorizePayment(ctx context.Context, r *paymentsv1.AuthorizePaymentRequest) (*paymentsv1.AuthorizePaymentResponse, error) {
	return sagatest.Call(ctx, "AuthorizePayment "+r.GetRequestId(), func() (*paymentsv1.AuthorizePaymentResponse, error) {
		got, err := b.once("AuthorizePayment", r.GetRequestId(), r.GetReference(), func() (promise, error) {
			b.payments = append(b.payments, payment{
				reference: r.GetReference(), method: r.GetPaymentMethod(), amount: r.GetAmount().GetAmount(), attempts: []attempt{{authorize, open}},
			})
			return promise{payment: len(b.payments) - 1}, nil
		})
		if err != nil {
			return nil, err
		}
		b.finish(ctx, got.payment, got.attempt)
		return &paymentsv1.AuthorizePaymentResponse{Payment: b.message(got.payment)}, nil
	})
}

func (b *Bank) CapturePayment(ctx context.Context, r *paymentsv1.CapturePaymentRequest) (*paymentsv1.CapturePaymentResponse, error) {
	return sagatest.Call(ctx, "CapturePayment "+r.GetRequestId()+" "+r.GetId(), func() (*paymentsv1.CapturePaymentResponse, error) {
		got, err := b.once("CapturePayment", r.GetRequestId(), r.GetId(), func() (promise, error) {
			var i int
			if _, err := fmt.Sscanf(r.GetId(), "pay_%d", &i); err != nil || i >= len(b.payments) {
				return promise{}, rpc.NotFound("payment", r.GetId())
			}
			p := &b.payments[i]
			for j, a := range p.attempts {
				if a.kind == capture && a.outcome != refused { // It is captured, or is being captured.
					return promise{payment: i, attempt: j}, nil
				}
			}
			if p.cancelled || p.state() != paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED {
				return promise{}, rpc.Errorf(connect.CodeFailedPrecondition, "PAYMENT_STATE", "it is %s", p.state())
			}
			p.attempts = append(p.attempts, attempt{capture, open})
			return promise{payment: i, attempt: len(p.attempts) - 1}, nil
		})
		if err != nil {
			return nil, err
		}
		b.finish(ctx, got.payment, got.attempt)
		return &paymentsv1.CapturePaymentResponse{Payment: b.message(got.payment)}, nil
	})
}

func (b *Bank) CancelPayment(ctx context.Context, r *paymentsv1.CancelPaymentRequest) (*paymentsv1.CancelPaymentResponse, error) {
	return sagatest.Call(ctx, "CancelPayment "+r.GetRequestId()+" "+r.GetAuthorizeRequestId(), func() (*paymentsv1.CancelPaymentResponse, error) {
		got, err := b.once("CancelPayment", r.GetRequestId(), r.GetAuthorizeRequestId(), func() (promise, error) {
			request := "AuthorizePayment " + r.GetAuthorizeRequestId()
			made, done := b.kept[request]
			if !done && !b.forgets {
				b.kept[request] = promise{revoked: true}
			}
			return promise{payment: made.payment, attempt: made.attempt, none: !done || made.revoked}, nil
		})
		if err != nil {
			return nil, err
		}
		if got.none {
			return &paymentsv1.CancelPaymentResponse{Cancellation: paymentsv1.Cancellation_CANCELLATION_DONE}, nil
		}
		p := &b.payments[got.payment]
		p.cancelled = true
		b.finish(ctx, got.payment, p.cancelling())
		return &paymentsv1.CancelPaymentResponse{Cancellation: p.cancellation(), Payment: b.message(got.payment)}, nil
	})
}

func (p *payment) cancellation() paymentsv1.Cancellation {
	switch p.state() {
	case paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN:
		return paymentsv1.Cancellation_CANCELLATION_UNDER_WAY
	case paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED, paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED:
		return paymentsv1.Cancellation_CANCELLATION_REFUSED
	}
	return paymentsv1.Cancellation_CANCELLATION_DONE
}
