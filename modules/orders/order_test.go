package orders

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"connectrpc.com/connect"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

var allStates = []state{
	pending, reserved, paying, confirmed, partiallyFulfilled, fulfilled, returned, rejected, expired, cancelled, paymentUnknown, cancelPending, needsReview,
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	legal := map[state][]state{
		pending:            {reserved, rejected, expired, cancelPending},
		reserved:           {paying, paymentUnknown, rejected, expired, cancelPending, needsReview},
		paymentUnknown:     {paying, rejected, expired, cancelPending, needsReview},
		paying:             {confirmed, rejected, cancelPending, needsReview},
		confirmed:          {partiallyFulfilled, fulfilled, cancelPending},
		partiallyFulfilled: {fulfilled, returned},
		fulfilled:          {returned},
		cancelPending:      {cancelled, needsReview},
		needsReview:        {confirmed, cancelPending},
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
		if !s.settled() && !s.canBecome(end(s)) {
			t.Errorf("an order that is %s cannot become %s", s, end(s))
		}
		if !s.settled() && s != cancelPending && !s.canBecome(cancelPending) {
			t.Errorf("an order that is %s cannot be cancelled", s)
		}
	}
}

func TestNextMove(t *testing.T) {
	t.Parallel()
	forward := map[state]move{pending: reserve, reserved: authorize, paymentUnknown: authorize, paying: finish}
	for _, s := range allStates {
		for _, reason := range []string{"", "CARD_DECLINED"} {
			if s == cancelPending && reason == "" {
				continue // A wish to cancel is written down with its reason.
			}
			want := rest
			switch {
			case s.settled():
			case reason != "":
				want = undo
			default:
				want = forward[s]
			}
			if got := nextMove(s, reason); got != want {
				t.Errorf("the next move of an order that is %s because of %q is %d, want %d", s, reason, got, want)
			}
		}
	}
	for s := range forward {
		if s.settled() {
			t.Errorf("an order that is %s looks settled", s)
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

// An error that passes by itself must not end an order, and one that does not must not be tried for ever.
func TestLasting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code  connect.Code
		lasts bool
	}{
		{connect.CodeCanceled, false}, {connect.CodeUnknown, false}, {connect.CodeDeadlineExceeded, false}, {connect.CodeResourceExhausted, false},
		{connect.CodeAborted, false}, {connect.CodeInternal, false}, {connect.CodeUnavailable, false}, {connect.CodeDataLoss, false},
		{connect.CodeInvalidArgument, true}, {connect.CodeNotFound, true}, {connect.CodeAlreadyExists, true}, {connect.CodePermissionDenied, true},
		{connect.CodeFailedPrecondition, true}, {connect.CodeOutOfRange, true}, {connect.CodeUnimplemented, true}, {connect.CodeUnauthenticated, true},
	} {
		want := ""
		if c.lasts {
			want = "WHY"
		}
		if got := lasting(fmt.Errorf("step: %w", rpc.Errorf(c.code, "WHY", "text"))); got != want {
			t.Errorf("%s lasts because of %q, want %q", c.code, got, want)
		}
	}
	if got := lasting(connect.NewError(connect.CodeNotFound, errors.New("text"))); got != "REFUSED" {
		t.Errorf("without a reason it lasts because of %q", got)
	}
	if got := lasting(errors.New("anything")) + lasting(nil); got != "" {
		t.Errorf("what is no answer of a module lasts because of %q", got)
	}
}
