package orders_test

import (
	"strings"
	"testing"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// A provider that refuses answers the same question the same way for ever, so that asking again leads nowhere.
func TestRefusedCaptureTurnsOrderBack(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	c.ends(c.order(keepsCapture), rejected, "CAPTURE_REFUSED")
}

func TestRefusedRefundIsLeftToPeople(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	id := c.order(keepsRefund)
	c.ends(id, confirmed, "")
	if err := c.cancel(id); err != nil {
		t.Fatal(err)
	}
	c.watch(id, 0)
	if got := c.get(id).GetState(); got != ordersv1.OrderState_ORDER_STATE_NEEDS_REVIEW {
		t.Errorf("the order is %s, want it left to people", got)
	}
	// The provider may refuse again, each time that it is asked anew: it is left to people again, who are told once.
	for refusals := 2; refusals <= 3; refusals++ {
		if err := c.Hosts["orders"].Sagas.Resume(c.ctx, id, "called the provider"); err != nil {
			t.Fatal(err)
		}
		moduletest.Eventually(t, "the provider has refused again", func() bool {
			return moduletest.Value[bool](t, c.House, "SELECT stuck AND (state->>'refusals')::int = $2 FROM orders.cleave_saga WHERE id = $1", id, refusals)
		})
	}
	if got := c.told(id); !strings.HasSuffix(got, "orders.v1.OrderConfirmed orders.v1.OrderNeedsReview") {
		t.Errorf("others heard %s", got)
	}
	// Who has talked to the provider has the checkout go on.
	c.payments.relent(id)
	if err := c.Hosts["orders"].Sagas.Resume(c.ctx, id, "called the provider"); err != nil {
		t.Fatal(err)
	}
	moduletest.Eventually(t, "the order is cancelled", func() bool { return c.get(id).GetState() == cancelled })
	c.ends(id, cancelled, byCustomer)
}

// The customer insists while the provider is about to refuse: it is asked once more, and then left to people all the same.
func TestCancelledAgainWhileRefundIsRefused(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	id := c.order(keepsRefund)
	c.ends(id, confirmed, "")
	held := hold(true)
	c.faults.on(c.user, "CancelPayment", held)
	for range 2 {
		if err := c.cancel(id); err != nil {
			t.Fatal(err)
		}
		<-held.reached
	}
	close(held.release)
	c.watch(id, 0)
	if got := moduletest.Value[string](t, c.House, "SELECT state->>'refusals' FROM orders.cleave_saga WHERE stuck AND id = $1", id); got != "2" {
		t.Errorf("it is stuck after %s refusals", got)
	}
	if problem := c.fact(id).GetLogProblem(); problem != "" {
		t.Errorf("the log of the order: %s", problem)
	}
}

// An order is left to people wherever it is, and goes on from there.
func TestPendingOrderWhoseCheckoutCannotBeRead(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	held := hold(false)
	c.faults.on(c.user, "Reserve", held)
	id := c.order(good)
	<-held.reached
	kept := moduletest.Value[string](t, c.House, "SELECT state::text FROM orders.cleave_saga WHERE id = $1", id)
	c.Exec(t, `UPDATE orders.cleave_saga SET state = '{"lines": 1}' WHERE id = $1`, id)
	c.resume(id)
	c.watch(id, 0)
	close(held.release)
	if got := c.get(id).GetState(); got != ordersv1.OrderState_ORDER_STATE_NEEDS_REVIEW {
		t.Errorf("the order is %s, want it left to people", got)
	}
	c.Exec(t, "UPDATE orders.cleave_saga SET state = $2::jsonb WHERE id = $1", id, kept)
	if err := c.Hosts["orders"].Sagas.Resume(c.ctx, id, "mended its state"); err != nil {
		t.Fatal(err)
	}
	moduletest.Eventually(t, "the order is confirmed", func() bool { return c.get(id).GetState() == confirmed })
	c.ends(id, confirmed, "")
}
