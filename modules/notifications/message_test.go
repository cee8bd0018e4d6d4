package notifications

import (
	"slices"
	"strings"
	"testing"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

func TestLetters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		letter         letter
		template, says string
	}{
		{confirmed(&ordersv1.OrderConfirmed{OrderId: "ord_1", UserId: "usr_1"}), "order_confirmed", "ord_1 is paid"},
		{rejected(&ordersv1.OrderRejected{OrderId: "ord_1", UserId: "usr_1", Reason: "OUT_OF_STOCK"}), "order_rejected", "ord_1, because something in it is sold out. Nothing was charged"},
		{rejected(&ordersv1.OrderRejected{OrderId: "ord_1", UserId: "usr_1", Reason: "CARD_DECLINED"}), "order_rejected", "ord_1, because your card was declined. Nothing was charged"},
		{rejected(&ordersv1.OrderRejected{OrderId: "ord_1", UserId: "usr_1", Reason: "SOMETHING_ELSE"}), "order_rejected", "ord_1. Nothing was charged"},
		{cancelled(&ordersv1.OrderCancelled{OrderId: "ord_1", UserId: "usr_1"}), "order_cancelled", "ord_1 is cancelled"},
		{expired(&ordersv1.OrderExpired{OrderId: "ord_1", UserId: "usr_1"}), "order_expired", "ord_1 was not paid in time"},
		{partlyShipped(&ordersv1.OrderPartiallyFulfilled{OrderId: "ord_1", UserId: "usr_1", FulfillmentId: "ful_1"}), "order_partially_fulfilled", "A part of your order ord_1"},
		{shipped(&ordersv1.OrderFulfilled{OrderId: "ord_1", UserId: "usr_1", FulfillmentId: "ful_1"}), "order_fulfilled", "ord_1 is on its way"},
		{shipped(&ordersv1.OrderFulfilled{OrderId: "ord_1", UserId: "usr_1"}), "order_rest_cancelled", "The rest of your order ord_1 will not be sent"},
		{returned(&ordersv1.OrderReturned{OrderId: "ord_1", UserId: "usr_1"}), "order_returned", "All of your order ord_1 has come back"},
		{refunded(&ordersv1.OrderRefunded{OrderId: "ord_1", UserId: "usr_1"}), "order_refunded", "of your order ord_1 has gone back to you"},
	} {
		l := c.letter
		if l.template != c.template || l.recipient != "usr_1" || l.subject == "" || !strings.Contains(l.body, c.says) {
			t.Errorf("%+v, want %s to usr_1 that says %q", l, c.template, c.says)
		}
	}
}

// What is settled stays so, and nothing is settled that was not being sent.
func TestStates(t *testing.T) {
	t.Parallel()
	legal := map[state][]state{queued: {sending}, sending: {sending, sent, failed, suppressed}}
	for from := range messageStates {
		for next := range messageStates {
			if got, want := slices.Contains(before[next], from), slices.Contains(legal[from], next); got != want {
				t.Errorf("a message that is %s becomes %s: %t, want %t", from, next, got, want)
			}
		}
	}
}
