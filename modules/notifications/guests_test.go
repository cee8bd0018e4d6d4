package notifications

import (
	"slices"
	"testing"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// recipients returns to whom the mails in the mailbox went, in the order in which they came.
func (b *bundle) recipients(t *testing.T) []string {
	t.Helper()
	return moduletest.Query[string](t, b.House, "SELECT recipient FROM notifications.mail ORDER BY id")
}

// TestGuestsAreWrittenTo holds that a mail to a guest goes to the address that he has left with the order that it is about, and that no
// message has it.
func TestGuestsAreWrittenTo(t *testing.T) {
	t.Parallel()
	b := setup(t, Module)
	b.publish(t, &ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "usr_1"})
	b.settled(t, "usr_1", 1, isSent)
	if n := b.guests.asked.Load(); n != 0 {
		t.Errorf("orders was asked %d times for the address of nobody", n)
	}
	b.publishOf(t, "ord_1", &ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "gst_1"})
	b.publishOf(t, "ord_2", &ordersv1.OrderConfirmed{OrderId: "ord_2", UserId: "gst_1"}) // The same guest, and another address.
	b.settled(t, "gst_1", 2, isSent)
	if got, want := b.recipients(t), []string{"usr_1", "ada@example.org", "bob@example.org"}; !slices.Equal(got, want) {
		t.Errorf("the mails went to %q, want %q", got, want)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM notifications.message AS m WHERE m::text LIKE '%@%'"); n != 0 {
		t.Errorf("%d messages have an address", n)
	}
}

// TestGuestsWaitForOrders holds that while orders is down a mail to a guest waits, and one to somebody else does not.
func TestGuestsWaitForOrders(t *testing.T) {
	t.Parallel()
	b := setup(t, Module)
	b.guests.down.Store(true)
	b.publish(t, &ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "gst_1"}, &ordersv1.OrderExpired{OrderId: "ord_1", UserId: "usr_1"})
	b.settled(t, "usr_1", 1, isSent)
	moduletest.Eventually(t, "orders is asked again", func() bool {
		b.Exec(t, "UPDATE notifications.message SET next_time = now() WHERE state = 'sending'")
		return b.guests.asked.Load() > 1
	})
	b.guests.down.Store(false)
	moduletest.Eventually(t, "the guest is written to", func() bool {
		b.Exec(t, "UPDATE notifications.message SET next_time = now() WHERE state = 'sending'")
		return len(b.recipients(t)) >= 2
	})
	if got := b.recipients(t); !slices.Equal(slices.Compact(got), []string{"usr_1", "ada@example.org"}) {
		t.Errorf("the mails went to %q", got)
	}
}

// TestUnknownGuestIsGivenUp holds that a mail to a guest whose address was erased is given up.
func TestUnknownGuestIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t, Module)
	b.publishOf(t, "ord_3", &ordersv1.OrderConfirmed{OrderId: "ord_3", UserId: "gst_1"})
	b.settled(t, "gst_1", 1, isFailed)
	if got := b.recipients(t); len(got) != 0 {
		t.Errorf("mails went to %q", got)
	}
}
