package orders

import ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"

// Legal reports whether an order may go from one state to another.
func Legal(from, to ordersv1.OrderState) bool {
	var f, n state
	for s, message := range messageStates {
		if message == from {
			f = s
		}
		if message == to {
			n = s
		}
	}
	return f.canBecome(n)
}
