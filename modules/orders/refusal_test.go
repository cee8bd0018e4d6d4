package orders_test

import (
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
	// Who has talked to the provider has the checkout go on.
	c.payments.relent(id)
	if err := c.Hosts["orders"].Sagas.Resume(c.ctx, id, "called the provider"); err != nil {
		t.Fatal(err)
	}
	moduletest.Eventually(t, "the order is cancelled", func() bool { return c.get(id).GetState() == cancelled })
	c.ends(id, cancelled, byCustomer)
}
