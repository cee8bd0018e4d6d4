package orders_test

import (
	"context"
	"fmt"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	paymentsv1 "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The payment methods that the fake takes.
const (
	good           = "pm_good"
	declined       = "pm_declined"
	unknown        = "pm_unknown"         // The provider has not answered yet; after settle it has.
	unknownDecline = "pm_unknown_decline" // The same, and then it declines.
	keepsCapture   = "pm_refuses_capture" // The provider refuses to capture, for good.
	keepsRefund    = "pm_refuses_refund"  // The provider refuses to return what it has taken, for good.
)

// payments is a fake of the payments module: what its contract says, in memory. It is a fake only because the real one cannot be made
// to answer what a case needs, at the moment at which it needs it, nor be asked for what it did to whom.
type payments struct {
	paymentsv1connect.UnimplementedPaymentServiceHandler
	mu        sync.Mutex
	byRequest map[string]*paymentsv1.Payment
	byID      map[string]*paymentsv1.Payment
	made      map[string]*paymentsv1.Payment // by the request id that made it, which a payment never forgets
	revoked   map[string]bool                // request ids
	methods   map[string]string              // of payments, by id
	refunds   map[string]*paymentsv1.Refund  // by request id
	calls     map[string]int                 // of methods, by "reference method"
}

func newPayments() *payments {
	return &payments{byRequest: map[string]*paymentsv1.Payment{}, byID: map[string]*paymentsv1.Payment{},
		made: map[string]*paymentsv1.Payment{}, revoked: map[string]bool{}, methods: map[string]string{}, refunds: map[string]*paymentsv1.Refund{},
		calls: map[string]int{}}
}

func (p *payments) module() module.Module {
	return module.Module{
		Name: "payments", Serves: []*rpc.Service{paymentsv1cleave.PaymentService},
		Build: func(*module.Host) ([]rpc.Handler, error) {
			return []rpc.Handler{paymentsv1cleave.NewPaymentServiceHandler(p)}, nil
		},
	}
}

// forget forgets all request ids, as the real module does after some days.
func (p *payments) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.byRequest)
}

// settle lets the provider answer what it owes for a reference.
func (p *payments) settle(reference string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, payment := range p.byID {
		if payment.GetReference() == reference && payment.GetState() == paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN {
			payment.State = paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED
			if p.methods[id] == unknownDecline {
				payment.State = paymentsv1.PaymentState_PAYMENT_STATE_DECLINED
			}
		}
	}
}

// account is what the customer sees of a reference: what was charged in the end, what is still set aside, and how often money was asked for.
type account struct {
	charged, setAside int64
	payments          int
}

func (p *payments) account(reference string) (a account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, payment := range p.byID {
		if payment.GetReference() != reference {
			continue
		}
		a.payments++
		a.charged += payment.GetCaptured().GetAmount() - payment.GetRefunded().GetAmount()
		if payment.GetState() == paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED || payment.GetState() == paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN {
			a.setAside += payment.GetAmount().GetAmount()
		}
	}
	return a
}

// count returns how often a method was carried out for a reference.
func (p *payments) count(reference, method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[reference+" "+method]
}

func (p *payments) AuthorizePayment(_ context.Context, r *paymentsv1.AuthorizePaymentRequest) (*paymentsv1.AuthorizePaymentResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[r.GetReference()+" AuthorizePayment"]++
	if p.revoked[r.GetRequestId()] {
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, "REVOKED", "cancelled before it came")
	}
	payment, again := p.byRequest[r.GetRequestId()]
	if !again {
		payment = &paymentsv1.Payment{
			Id: fmt.Sprint("pay_", len(p.byID)+1), Reference: r.GetReference(), Amount: r.GetAmount(), State: paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED,
			Captured: &typev1.Money{Currency: r.GetAmount().GetCurrency()}, Refunded: &typev1.Money{Currency: r.GetAmount().GetCurrency()},
		}
		switch r.GetPaymentMethod() {
		case declined:
			payment.State = paymentsv1.PaymentState_PAYMENT_STATE_DECLINED
		case unknown, unknownDecline:
			payment.State = paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN
		}
		p.made[r.GetRequestId()] = payment
		p.byRequest[r.GetRequestId()], p.byID[payment.GetId()], p.methods[payment.GetId()] = payment, payment, r.GetPaymentMethod()
	}
	return &paymentsv1.AuthorizePaymentResponse{Payment: proto.CloneOf(payment)}, nil
}

// change carries out a change of a payment in one of the states that allow it; a payment that is in the last state already stays as it is.
func (p *payments) change(method, id string, to paymentsv1.PaymentState, from paymentsv1.PaymentState, do func(*paymentsv1.Payment)) (*paymentsv1.Payment, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	payment := p.byID[id]
	if payment == nil {
		return nil, rpc.NotFound("payment", id)
	}
	p.calls[payment.GetReference()+" "+method]++
	// A refusal is an answer: the payment stays as it is, and says why.
	if m := p.methods[id]; m == keepsCapture && method == "CapturePayment" {
		payment.DeclineCode = "refused"
		return proto.CloneOf(payment), nil
	}
	past := payment.GetState() == paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED || payment.GetState() == paymentsv1.PaymentState_PAYMENT_STATE_PARTIALLY_REFUNDED
	if payment.GetState() != to && !(past && method == "CapturePayment") {
		if payment.GetState() != from {
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "PAYMENT_STATE", "payment %s is %s", id, payment.GetState())
		}
		do(payment)
		payment.State = to
	}
	return proto.CloneOf(payment), nil
}

func (p *payments) CapturePayment(_ context.Context, r *paymentsv1.CapturePaymentRequest) (*paymentsv1.CapturePaymentResponse, error) {
	payment, err := p.change("CapturePayment", r.GetId(), paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED, paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED,
		func(payment *paymentsv1.Payment) { payment.Captured.Amount += payment.GetAmount().GetAmount() })
	return &paymentsv1.CapturePaymentResponse{Payment: payment}, err
}

func (p *payments) CancelPayment(_ context.Context, r *paymentsv1.CancelPaymentRequest) (*paymentsv1.CancelPaymentResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	payment := p.made[r.GetAuthorizeRequestId()]
	answer := &paymentsv1.CancelPaymentResponse{Cancellation: paymentsv1.Cancellation_CANCELLATION_DONE}
	if payment == nil {
		p.revoked[r.GetAuthorizeRequestId()] = true
		return answer, nil
	}
	p.calls[payment.GetReference()+" CancelPayment"]++
	switch payment.GetState() {
	case paymentsv1.PaymentState_PAYMENT_STATE_UNKNOWN:
		answer.Cancellation = paymentsv1.Cancellation_CANCELLATION_UNDER_WAY
	case paymentsv1.PaymentState_PAYMENT_STATE_AUTHORIZED:
		payment.State = paymentsv1.PaymentState_PAYMENT_STATE_VOIDED
	case paymentsv1.PaymentState_PAYMENT_STATE_CAPTURED:
		if p.methods[payment.GetId()] == keepsRefund {
			answer.Cancellation = paymentsv1.Cancellation_CANCELLATION_REFUSED
			break
		}
		payment.State = paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED
		payment.Refunded.Amount = payment.GetAmount().GetAmount()
	}
	answer.Payment = proto.CloneOf(payment)
	return answer, nil
}

// RefundPayment gives a part of a payment back, once under a request id. A provider that keeps what it has taken refuses.
func (p *payments) RefundPayment(_ context.Context, r *paymentsv1.RefundPaymentRequest) (*paymentsv1.RefundPaymentResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	payment := p.byID[r.GetId()]
	if payment == nil {
		return nil, rpc.NotFound("payment", r.GetId())
	}
	refund, again := p.refunds[r.GetRequestId()]
	if !again {
		refund = &paymentsv1.Refund{Id: fmt.Sprint("att_", len(p.refunds)+1), Amount: r.GetAmount(), State: paymentsv1.RefundState_REFUND_STATE_SETTLED}
		rest := payment.GetCaptured().GetAmount() - payment.GetRefunded().GetAmount()
		switch {
		case r.GetAmount().GetAmount() > rest:
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "REFUND_EXCEEDS_CAPTURE", "only %d are left", rest)
		case p.methods[payment.GetId()] == keepsRefund:
			refund.State, refund.DeclineCode = paymentsv1.RefundState_REFUND_STATE_FAILED, "refused"
		default:
			payment.Refunded.Amount += r.GetAmount().GetAmount()
			payment.State = paymentsv1.PaymentState_PAYMENT_STATE_PARTIALLY_REFUNDED
			p.calls[payment.GetReference()+" RefundPayment"]++
		}
		p.refunds[r.GetRequestId()] = refund
	}
	return &paymentsv1.RefundPaymentResponse{Payment: proto.CloneOf(payment), Refund: proto.CloneOf(refund)}, nil
}

// refund gives something of a payment back to the customer.
func (p *payments) refund(reference string, cents int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, payment := range p.byID {
		if payment.GetReference() == reference {
			payment.Refunded.Amount = cents
			payment.State = paymentsv1.PaymentState_PAYMENT_STATE_PARTIALLY_REFUNDED
			if cents == payment.GetAmount().GetAmount() {
				payment.State = paymentsv1.PaymentState_PAYMENT_STATE_REFUNDED
			}
		}
	}
}

// relent lets the provider return the money of a reference that it has kept.
func (p *payments) relent(reference string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, payment := range p.byID {
		if payment.GetReference() == reference {
			p.methods[id] = good
		}
	}
}

// fault is what happens to one call of a method.
type fault struct {
	// before and after fail the call, without or after having carried it out.
	before, after error
	// reached is closed when the call has come to where it waits for release: before it is carried out, or after.
	reached, release chan struct{}
	holdAfter        bool
}

// faults happen to the calls that are made in the name of a customer. Calls of a job are made in nobody's name.
type faults struct {
	mu      sync.Mutex
	scripts map[string][]fault // by "customer method"; the last one stays if it is always.
	always  map[string]bool
}

func newFaults() *faults { return &faults{scripts: map[string][]fault{}, always: map[string]bool{}} }

// on says what happens to the next calls of a method, one after the other.
func (f *faults) on(customer, method string, script ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripts[customer+" "+method] = script
}

// forever says what happens to every call of a method.
func (f *faults) forever(customer, method string, what fault) {
	f.on(customer, method, what)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always[customer+" "+method] = true
}

func (f *faults) next(customer, method string) (what fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := customer + " " + method
	if script := f.scripts[key]; len(script) > 0 {
		what = script[0]
		if !f.always[key] {
			f.scripts[key] = script[1:]
		}
	}
	return what
}

func (f *faults) intercept(method *rpc.Method, next rpc.Next) rpc.Next {
	return func(ctx context.Context, request proto.Message) (proto.Message, error) {
		what := f.next(rpc.MetadataOf(ctx).Principal.Subject, method.Name)
		wait := func() {
			if what.reached != nil {
				close(what.reached)
				<-what.release
			}
		}
		if !what.holdAfter {
			wait()
		}
		if what.before != nil {
			return nil, what.before
		}
		response, err := next(ctx, request)
		if what.holdAfter {
			wait()
		}
		if err == nil && what.after != nil {
			return nil, what.after
		}
		return response, err
	}
}
