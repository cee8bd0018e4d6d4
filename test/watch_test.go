package test

import (
	"context"
	"time"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

var watchScenarios = func() []scenario {
	var list []scenario
	for _, p := range protocols {
		list = append(list,
			scenario{"an order is watched over " + p.name, p, watched},
			scenario{"an open order is watched until a deadline over " + p.name, p, watchedTooLong})
	}
	return list
}()

// watched watches an order that takes some seconds, from its beginning, from later, and when it has settled.
func watched(v *visit) {
	placed := v.buy("pm_slow", item{v.product(1990, 10), 1})
	var last int64
	var states []*ordersv1.OrderTransition
	began, first := time.Now(), time.Duration(0)
	v.must("watch", v.follow(placed.GetId(), 0, func(w *ordersv1.WatchOrderResponse) bool {
		if first == 0 {
			first = time.Since(began)
		}
		if got := w.GetTransition().GetSequence(); got != last+1 {
			v.Errorf("after transition %d comes %d", last, got)
		}
		if w.GetOrder().GetId() != placed.GetId() || w.GetOrder().GetSequence() < w.GetTransition().GetSequence() {
			v.Errorf("with transition %d comes order %v", last+1, w.GetOrder())
		}
		last++
		states = append(states, w.GetTransition())
		return true
	}))
	equal(v, "path", path(states), "pending reserved paying confirmed")
	// The provider takes two seconds: a stream that is held back somewhere on its way comes in one piece at the end.
	if whole := time.Since(began); first > whole/2 {
		v.Errorf("the first transition came after %v of %v", first, whole)
	}
	equal(v, "path after 2", path(v.watch(placed.GetId(), 2)), "paying confirmed")
	equal(v, "path after all", path(v.watch(placed.GetId(), 4)), "")
	equal(v, "path after more than all", path(v.watch(placed.GetId(), 99)), "")
	for i, transition := range v.watch(placed.GetId(), 0) {
		v.same("a transition, read later", transition, states[i])
	}
}

// watchedTooLong watches an order that does not settle. The customer's deadline ends it, and nothing else is broken by that.
func watchedTooLong(v *visit) {
	placed := v.buy("pm_provider_down", item{v.product(1990, 10), 1})
	v.must("watch", v.follow(placed.GetId(), 0, func(w *ordersv1.WatchOrderResponse) bool {
		return w.GetTransition().GetState() != ordersv1.OrderState_ORDER_STATE_PAYMENT_UNKNOWN
	}))
	whole := v.ctx
	ctx, cancel := context.WithTimeout(whole, 500*time.Millisecond)
	defer cancel()
	v.ctx = ctx
	err := v.follow(placed.GetId(), 0, func(*ordersv1.WatchOrderResponse) bool { return true })
	v.ctx = whole
	equal(v, "end of the watch", code(err), "deadline_exceeded")
	equal(v, "state", v.order(placed.GetId()).GetState(), ordersv1.OrderState_ORDER_STATE_PAYMENT_UNKNOWN)
}
