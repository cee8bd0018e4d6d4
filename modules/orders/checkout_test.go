package orders_test

import (
	"testing"

	"connectrpc.com/connect"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	confirmed = ordersv1.OrderState_ORDER_STATE_CONFIRMED
	rejected  = ordersv1.OrderState_ORDER_STATE_REJECTED
	cancelled = ordersv1.OrderState_ORDER_STATE_CANCELLED
)

// byCustomer is the reason of an order that its customer has cancelled.
const byCustomer = "CANCELLED_BY_CUSTOMER"

var (
	errDown    = rpc.Errorf(connect.CodeUnavailable, "", "as the test wants it")
	errLate    = rpc.Errorf(connect.CodeDeadlineExceeded, "", "as the test wants it")
	errBroken  = rpc.Errorf(connect.CodeInternal, "", "as the test wants it")
	errRefused = rpc.Errorf(connect.CodeFailedPrecondition, "AS_THE_TEST_WANTS_IT", "as the test wants it")
)

// passing are faults that pass: a call that fails without or after having been carried out.
var passing = map[string][]fault{
	"down":                {{before: errDown}},
	"down, then broken":   {{before: errDown}, {before: errBroken}},
	"reply lost":          {{after: errDown}},
	"reply too late":      {{after: errLate}},
	"reply lost, then no": {{after: errDown}, {before: errDown}},
}

// steps are the calls of a checkout that goes well, in order.
var steps = []string{"Reserve", "AuthorizePayment", "CommitReservation", "CapturePayment"}

func TestCheckoutGoesWell(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	id := c.order(good)
	c.ends(id, confirmed, "")
	for _, method := range []string{"AuthorizePayment", "CapturePayment"} {
		if n := c.payments.count(id, method); n != 1 {
			t.Errorf("%s was called %d times", method, n)
		}
	}
	if order := c.get(id); order.GetReservationId() == "" || order.GetPaymentId() == "" {
		t.Errorf("%v does not tell its reservation and payment", order)
	}
}

// attempt is an order to which something happens while those of other customers go on.
type attempt struct {
	*customer
	title, id string
}

// try places an order to which the script happens at one step.
func (s *shop) try(t *testing.T, title, step string, script ...fault) *attempt {
	t.Helper()
	a := &attempt{customer: s.customer(t), title: step + " " + title}
	a.faults.on(a.user, step, script...)
	a.id = a.order(good)
	return a
}

// check requires how all of them end.
func check(t *testing.T, attempts []*attempt, want ordersv1.OrderState, reason string) {
	t.Helper()
	for _, a := range attempts {
		t.Run(a.title, func(t *testing.T) {
			a.t = t
			a.ends(a.id, want, reason)
		})
	}
}

func TestEveryStepSurvivesPassingFaults(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var attempts []*attempt
	for _, step := range steps {
		for name, script := range passing {
			attempts = append(attempts, s.try(t, name, step, script...))
		}
	}
	check(t, attempts, confirmed, "")
}

// The way back survives what the way there does, when the last step was refused.
func TestEveryStepBackSurvivesPassingFaults(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var attempts []*attempt
	for _, step := range []string{"CancelPayment", "ReleaseReservation"} {
		for name, script := range passing {
			a := &attempt{customer: s.customer(t), title: step + " " + name}
			a.faults.forever(a.user, "CapturePayment", fault{before: errRefused})
			a.faults.on(a.user, step, script...)
			a.id = a.order(good)
			attempts = append(attempts, a)
		}
	}
	check(t, attempts, rejected, "AS_THE_TEST_WANTS_IT")
}

func TestCancellationSurvivesPassingFaults(t *testing.T) {
	t.Parallel()
	s := setup(t)
	var attempts []*attempt
	for _, step := range []string{"CancelPayment", "ReleaseReservation"} {
		for name, script := range passing {
			attempts = append(attempts, s.try(t, name, step, script...)) // Nothing of this is called before.
		}
	}
	for _, a := range attempts {
		a.watch(a.id, 0)
		if err := a.cancel(a.id); err != nil {
			t.Fatal(err)
		}
	}
	check(t, attempts, cancelled, byCustomer)
}

// What is refused is refused for good: everything goes back.
func TestEveryStepCanBeRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			c := s.customer(t)
			c.faults.forever(c.user, step, fault{before: errRefused})
			id := c.order(good)
			c.ends(id, rejected, "AS_THE_TEST_WANTS_IT")
			if n := c.payments.account(id).payments; n > 0 && (step == "Reserve" || step == "AuthorizePayment") {
				t.Errorf("%d payments were made", n)
			}
		})
	}
	t.Run("out of stock", func(t *testing.T) {
		t.Parallel()
		c := s.customer(t)
		quote := c.quoted()
		if _, err := c.inventory.Reserve(c.ctx, &inventoryv1.ReserveRequest{
			RequestId: c.next("another "), Reference: "ord_other", Lines: []*inventoryv1.Line{{Sku: c.sku, Quantity: pieces - quantity + 1}},
		}); err != nil {
			t.Fatal(err)
		}
		order, err := c.place(quote, good)
		if err != nil {
			t.Fatal(err)
		}
		c.watch(order.GetId(), 0)
		if got := c.get(order.GetId()); got.GetState() != rejected || got.GetReason() != "OUT_OF_STOCK" {
			t.Errorf("%v, want it rejected", got)
		}
	})
	t.Run("declined", func(t *testing.T) {
		t.Parallel()
		c := s.customer(t)
		c.ends(c.order(declined), rejected, "CARD_DECLINED")
	})
	t.Run("hold has expired", func(t *testing.T) {
		t.Parallel()
		c := s.customer(t)
		held := fault{reached: make(chan struct{}), release: make(chan struct{})}
		c.faults.on(c.user, "CommitReservation", held)
		id := c.order(good)
		<-held.reached
		c.Exec(t, "UPDATE inventory.reservation SET expire_time = now() - interval '1 second' WHERE reference = $1", id)
		taken, err := c.inventory.Reserve(c.ctx, &inventoryv1.ReserveRequest{
			RequestId: c.next("another "), Reference: "ord_other", Lines: []*inventoryv1.Line{{Sku: c.sku, Quantity: pieces}},
		})
		if err != nil {
			t.Fatal(err)
		}
		close(held.release)
		c.watch(id, 0)
		if _, err := c.inventory.ReleaseReservation(c.ctx, &inventoryv1.ReleaseReservationRequest{RequestId: c.next("back "), Id: taken.GetReservation().GetId()}); err != nil {
			t.Fatal(err)
		}
		c.ends(id, ordersv1.OrderState_ORDER_STATE_EXPIRED, "RESERVATION_STATE_EXPIRED")
	})
}

// The provider's silence is neither a yes nor a no.
func TestUnknownPayment(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, test := range []struct {
		name, method string
		cancel       bool
		want         ordersv1.OrderState
		reason       string
	}{
		{"then good", unknown, false, confirmed, ""},
		{"then declined", unknownDecline, false, rejected, "CARD_DECLINED"},
		{"cancelled, then good", unknown, true, cancelled, byCustomer},
		{"cancelled, then declined", unknownDecline, true, cancelled, byCustomer},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := s.customer(t)
			id := c.order(test.method)
			moduletest.Eventually(t, "the payment is unknown", func() bool {
				return c.get(id).GetState() == ordersv1.OrderState_ORDER_STATE_PAYMENT_UNKNOWN
			})
			if test.cancel {
				if err := c.cancel(id); err != nil {
					t.Fatal(err)
				}
			}
			c.payments.settle(id)
			c.ends(id, test.want, test.reason)
		})
	}
}

// Money was captured, the answer is lost, and somebody gives money back before it is asked for again: it was captured all the same.
func TestPaymentThatWasRefundedWasCaptured(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, cents := range []int64{1, quantity * unitPrice} {
		c := s.customer(t)
		held := hold(true)
		held.after = errDown
		c.faults.on(c.user, "CapturePayment", held)
		id := c.order(good)
		<-held.reached
		c.payments.refund(id, cents)
		close(held.release)
		c.watch(id, 0)
		if got := c.get(id).GetState(); got != confirmed {
			t.Errorf("after %d cents were given back the order is %s", cents, got)
		}
	}
}

func TestOrderForNothingIsNotPaid(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, cancel := range []bool{false, true} {
		c := s.customerFor(t, 0)
		id := c.order(good)
		c.ends(id, confirmed, "")
		if cancel {
			if err := c.cancel(id); err != nil {
				t.Fatal(err)
			}
			c.ends(id, cancelled, byCustomer)
		}
		if got := c.payments.account(id); got.payments > 0 {
			t.Errorf("%d payments were made for nothing", got.payments)
		}
	}
}

// hold returns a fault that holds a call before or after it is carried out.
func hold(after bool) fault {
	return fault{reached: make(chan struct{}), release: make(chan struct{}), holdAfter: after}
}

var moments = map[string]bool{"before": false, "after": true}

// A customer may change their mind at every moment.
func TestCancelAtEveryMoment(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, step := range steps {
		for name, after := range moments {
			t.Run(name+" "+step, func(t *testing.T) {
				t.Parallel()
				c := s.customer(t)
				held := hold(after)
				c.faults.on(c.user, step, held)
				id := c.order(good)
				<-held.reached
				if err := c.cancel(id); err != nil {
					t.Fatal(err)
				}
				close(held.release)
				c.ends(id, cancelled, byCustomer)
				if step == "Reserve" && c.payments.account(id).payments > 0 {
					t.Error("money was asked for after the order was cancelled")
				}
				// Asked for again it stays as it is.
				if err := c.cancel(id); err != nil {
					t.Error(err)
				}
				c.ends(id, cancelled, byCustomer)
			})
		}
	}
	for name, after := range moments {
		t.Run("after it was declined, "+name+" the last step back", func(t *testing.T) {
			t.Parallel()
			c := s.customer(t)
			held := hold(after)
			c.faults.on(c.user, "ReleaseReservation", held)
			id := c.order(declined)
			<-held.reached
			if err := c.cancel(id); err != nil {
				t.Fatal(err)
			}
			close(held.release)
			c.ends(id, cancelled, byCustomer)
			if notes := moduletest.Query[string](t, c.House, "SELECT note FROM orders.cleave_saga_step WHERE saga_id = $1 AND what = 'failed'", id); len(notes) > 0 {
				t.Errorf("the timeline says %q", notes)
			}
		})
	}
}

func TestCancelIsRefusedWhenItIsTooLate(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	id := c.order(declined)
	c.ends(id, rejected, "CARD_DECLINED")
	refused(t, c.cancel(id), connect.CodeFailedPrecondition, "ORDER_STATE")
	for _, state := range []string{"fulfilled", "partially_fulfilled", "returned", "expired"} {
		c.Exec(t, `UPDATE orders."order" SET state = $2 WHERE id = $1`, id, state)
		refused(t, c.cancel(id), connect.CodeFailedPrecondition, "ORDER_STATE")
	}
}

// After some days nobody knows the request ids of a checkout any more: its money must be found all the same.
func TestCancelAfterRequestIDsAreForgotten(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	id := c.order(good)
	c.ends(id, confirmed, "")
	c.payments.forget()
	c.Exec(t, "DELETE FROM inventory.cleave_request")
	if err := c.cancel(id); err != nil {
		t.Fatal(err)
	}
	c.ends(id, cancelled, byCustomer)
}

// More orders than there is stock: as many are confirmed as there are pieces for.
func TestOrdersOfTheLastPieces(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	var ids []string
	for range 12 {
		ids = append(ids, c.order(good))
	}
	count := map[ordersv1.OrderState]int{}
	var charged int64
	for _, id := range ids {
		c.watch(id, 0)
		count[c.get(id).GetState()]++
		charged += c.payments.account(id).charged
	}
	const buyers = pieces / quantity
	if count[confirmed] != buyers || count[rejected] != len(ids)-buyers || charged != buyers*quantity*unitPrice {
		t.Errorf("%v, %d charged, want %d confirmed", count, charged, buyers)
	}
}
