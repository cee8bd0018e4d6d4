package orders_test

import (
	"testing"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// While nobody knows whether an order is paid its hold lasts longer, so that the pieces are there when the provider says yes. That is done
// once, however long the provider is silent.
func TestHoldLastsLongerOnceWhileThePaymentIsUnknown(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	id := c.order(unknown)
	moduletest.Eventually(t, "the payment is unknown", func() bool {
		return c.get(id).GetState() == ordersv1.OrderState_ORDER_STATE_PAYMENT_UNKNOWN
	})
	const lasts = "SELECT extract(epoch FROM expire_time - create_time)::float8 FROM inventory.reservation WHERE reference = $1 AND extended"
	first := moduletest.Value[float64](t, c.House, lasts, id)
	if first <= 900 {
		t.Errorf("it was to last for 900 seconds, and lasts for %v now", first)
	}
	asked := c.payments.count(id, "AuthorizePayment")
	c.resume(id)
	moduletest.Eventually(t, "the provider was silent once more", func() bool { return c.payments.count(id, "AuthorizePayment") >= asked+2 })
	if again := moduletest.Value[float64](t, c.House, lasts, id); again != first {
		t.Errorf("after another silence it lasts for %v seconds, want %v", again, first)
	}
	c.payments.settle(id)
	c.ends(id, confirmed, "")
}
