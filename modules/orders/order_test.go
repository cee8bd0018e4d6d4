package orders

import (
	"slices"
	"testing"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/statetest"
)

var allStates = []state{
	pending, reserved, paying, confirmed, partiallyFulfilled, fulfilled, returned, rejected, expired, cancelled, paymentUnknown, cancelPending, needsReview,
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	legal := map[state][]state{
		pending:            {reserved, rejected, expired, cancelPending, needsReview},
		reserved:           {paying, paymentUnknown, rejected, expired, cancelPending, needsReview},
		paymentUnknown:     {paying, rejected, expired, cancelPending, needsReview},
		paying:             {confirmed, rejected, expired, cancelPending, needsReview},
		confirmed:          {partiallyFulfilled, fulfilled, cancelPending},
		partiallyFulfilled: {fulfilled, returned},
		fulfilled:          {returned},
		cancelPending:      {cancelled, needsReview},
		needsReview:        {reserved, paymentUnknown, paying, confirmed, cancelPending, rejected, expired, cancelled},
	}
	for _, from := range allStates {
		for _, to := range allStates {
			if got, want := from.canBecome(to), slices.Contains(legal[from], to); got != want {
				t.Errorf("%s → %s is legal: %v, want %v", from, to, got, want)
			}
		}
	}
}

// The way there and back: an order that is not settled can always be ended by the checkout, and one that is settled has no next move.
func TestEveryOpenOrderCanBeEnded(t *testing.T) {
	t.Parallel()
	for _, s := range allStates {
		for _, reason := range []string{reasonCancelled, reasonExpired, "CARD_DECLINED"} {
			// A wish to cancel is the reason that stays, and it makes the order cancelPending.
			if !s.settled() && (s == cancelPending) == (reason == reasonCancelled) && !s.canBecome(end(reason)) {
				t.Errorf("an order that is %s cannot become %s", s, end(reason))
			}
		}
		if !s.settled() && s != cancelPending && !s.canBecome(cancelPending) {
			t.Errorf("an order that is %s cannot be cancelled", s)
		}
	}
}

func TestEveryStateHasItsMessage(t *testing.T) {
	t.Parallel()
	seen := map[ordersv1.OrderState]bool{}
	for _, s := range allStates {
		seen[messageStates[s]] = true
	}
	if len(seen) != len(ordersv1.OrderState_name)-1 || seen[ordersv1.OrderState_ORDER_STATE_UNSPECIFIED] {
		t.Errorf("%d states are told of %d", len(seen), len(ordersv1.OrderState_name)-1)
	}
}

func TestStatesAreDrawn(t *testing.T) {
	t.Parallel()
	statetest.Drawn(t, "../../docs/states/order.md", pending, transitions)
}
