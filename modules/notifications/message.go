package notifications

import (
	"fmt"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

// state is where a message is in its life.
type state string

const (
	queued     state = "queued"
	sending    state = "sending"
	sent       state = "sent"
	failed     state = "failed"
	suppressed state = "suppressed" // There is nobody to send it to.
)

// before holds the states from which a message gets into another. One that is being sent may be taken up again, after a failure or
// by the process after the one that was killed.
var before = map[state][]state{
	sending:    {queued, sending},
	sent:       {sending},
	failed:     {sending},
	suppressed: {sending},
}

var messageStates = map[state]notificationsv1.MessageState{
	queued:     notificationsv1.MessageState_MESSAGE_STATE_QUEUED,
	sending:    notificationsv1.MessageState_MESSAGE_STATE_SENDING,
	sent:       notificationsv1.MessageState_MESSAGE_STATE_SENT,
	failed:     notificationsv1.MessageState_MESSAGE_STATE_FAILED,
	suppressed: notificationsv1.MessageState_MESSAGE_STATE_SUPPRESSED,
}

// letter is what is written to somebody, and by which template.
type letter struct{ template, recipient, subject, body string }

func confirmed(e *ordersv1.OrderConfirmed) letter {
	return letter{"order_confirmed", e.GetUserId(), "Your order is confirmed",
		fmt.Sprintf("Thank you. Your order %s is paid, and we are getting it ready.\n", e.GetOrderId())}
}

func rejected(e *ordersv1.OrderRejected) letter {
	return letter{"order_rejected", e.GetUserId(), "Your order was not possible",
		fmt.Sprintf("We could not take your order %s%s. Nothing was charged.\n", e.GetOrderId(), because[e.GetReason()])}
}

func cancelled(e *ordersv1.OrderCancelled) letter {
	return letter{"order_cancelled", e.GetUserId(), "Your order is cancelled",
		fmt.Sprintf("Your order %s is cancelled. What you had paid is on its way back to you.\n", e.GetOrderId())}
}

func expired(e *ordersv1.OrderExpired) letter {
	return letter{"order_expired", e.GetUserId(), "Your order was not paid in time",
		fmt.Sprintf("Your order %s was not paid in time, so we ended it. Nothing was charged.\n", e.GetOrderId())}
}

func partlyShipped(e *ordersv1.OrderPartiallyFulfilled) letter {
	return letter{"order_partially_fulfilled", e.GetUserId(), "A part of your order is on its way",
		fmt.Sprintf("A part of your order %s is on its way to you. The rest follows.\n", e.GetOrderId())}
}

func shipped(e *ordersv1.OrderFulfilled) letter {
	if e.GetFulfillmentId() == "" {
		return letter{"order_rest_cancelled", e.GetUserId(), "The rest of your order is cancelled",
			fmt.Sprintf("The rest of your order %s will not be sent. What you had paid for it is on its way back to you.\n", e.GetOrderId())}
	}
	return letter{"order_fulfilled", e.GetUserId(), "Your order is on its way",
		fmt.Sprintf("Your order %s is on its way to you.\n", e.GetOrderId())}
}

func returned(e *ordersv1.OrderReturned) letter {
	return letter{"order_returned", e.GetUserId(), "Your order has come back to us",
		fmt.Sprintf("All of your order %s has come back to us. What you had paid for it is on its way back to you.\n", e.GetOrderId())}
}

func refunded(e *ordersv1.OrderRefunded) letter {
	return letter{"order_refunded", e.GetUserId(), "We have paid you back",
		fmt.Sprintf("What you had paid for what came back, or was not sent, of your order %s has gone back to you. Your bank may take some days to show it.\n", e.GetOrderId())}
}

// accountTemplate is of the mails about an account. What is in one is personal, and may be as good as a password: identity writes it at the
// moment at which it is sent, and it is written down nowhere but in the mail.
const accountTemplate = "account"

// owed is what the recipient of such a mail finds among his messages.
func owed(e *identityv1.MailOwed) letter {
	return letter{accountTemplate, e.GetUserId(), "Your account", "We have sent you a mail about your account.\n"}
}

// because says the reasons that help a customer.
var because = map[string]string{
	"OUT_OF_STOCK":  ", because something in it is sold out",
	"CARD_DECLINED": ", because your card was declined",
}
