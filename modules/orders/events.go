package orders

import (
	"google.golang.org/protobuf/proto"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
)

// eventOf returns the event that tells others that an order has come to a state: that it was placed, and how the checkout ended.
func eventOf(s state, orderID, userID string, total *typev1.Money, reason string) proto.Message {
	switch s {
	case pending:
		return &ordersv1.OrderPlaced{OrderId: orderID, UserId: userID, Total: total}
	case confirmed:
		return &ordersv1.OrderConfirmed{OrderId: orderID, UserId: userID, Total: total}
	case rejected:
		return &ordersv1.OrderRejected{OrderId: orderID, UserId: userID, Reason: reason}
	case expired:
		return &ordersv1.OrderExpired{OrderId: orderID, UserId: userID, Reason: reason}
	case cancelled:
		return &ordersv1.OrderCancelled{OrderId: orderID, UserId: userID, Reason: reason}
	case needsReview:
		return &ordersv1.OrderNeedsReview{OrderId: orderID, UserId: userID, Reason: reason}
	default:
		panic("no event tells that an order is " + string(s))
	}
}
