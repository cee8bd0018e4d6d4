package test

import (
	"fmt"
	"strings"
	"time"

	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
)

var mailScenarios = []scenario{
	{"a customer hears that an order is confirmed", connectJSON, heardOfConfirmed},
	{"a customer hears why an order was not possible", grpc, heardOfRejected},
	{"a customer hears that an order is cancelled", grpcWeb, heardOfCancelled},
}

func heardOfConfirmed(v *visit) {
	v.listens()
	order := v.settled(v.buy("pm_card_visa", item{v.product(1990, 10), 2}).GetId(), confirmed, "")
	v.heard(order.GetId(),
		"order_confirmed: Your order is confirmed: Thank you. Your order %s is paid, and we are getting it ready.\n")
}

func heardOfRejected(v *visit) {
	v.listens()
	soldOut := v.settled(v.buy("pm_card_visa", item{v.product(1990, 1), 2}).GetId(), rejected, "OUT_OF_STOCK")
	badCard := v.settled(v.buy("pm_card_expired", item{v.product(1990, 10), 2}).GetId(), rejected, "CARD_DECLINED")
	v.heard(soldOut.GetId(),
		"order_rejected: Your order was not possible: We could not take your order %s, because something in it is sold out. Nothing was charged.\n")
	v.heard(badCard.GetId(),
		"order_rejected: Your order was not possible: We could not take your order %s, because your card was declined. Nothing was charged.\n")
}

func heardOfCancelled(v *visit) {
	v.listens()
	order := v.settled(v.buy("pm_card_visa", item{v.product(1990, 10), 2}).GetId(), confirmed, "")
	v.cancel(order.GetId())
	v.settled(order.GetId(), cancelled, "CANCELLED_BY_CUSTOMER")
	v.heard(order.GetId(),
		"order_cancelled: Your order is cancelled: Your order %s is cancelled. What you had paid is on its way back to you.\n",
		"order_confirmed: Your order is confirmed: Thank you. Your order %s is paid, and we are getting it ready.\n")
}

// heard requires which mails a customer gets about an order, newest first, and that there are no others: a later order is told of too by
// then, and whoever tells of them does so in the order in which they happened.
func (v *visit) heard(orderID string, mails ...string) {
	v.Helper()
	later := v.settled(v.buy("pm_card_visa", item{v.product(0, 1), 1}).GetId(), confirmed, "")
	v.until("the mail about the later order is sent", func() bool { return len(v.sent(later.GetId())) == 1 })
	v.until("the mails are sent", func() bool { return len(v.sent(orderID)) == len(v.messages(orderID)) })
	var want []string
	for _, mail := range mails {
		want = append(want, fmt.Sprintf(mail, orderID))
	}
	equal(v, "what the customer hears", strings.Join(v.sent(orderID), ""), strings.Join(want, ""))
}

// sent returns the mails about an order that are sent, newest first.
func (v *visit) sent(orderID string) (mails []string) {
	for _, m := range v.messages(orderID) {
		if m.GetState() == notificationsv1.MessageState_MESSAGE_STATE_SENT {
			mails = append(mails, m.GetTemplate()+": "+m.GetSubject()+": "+m.GetBody())
		}
	}
	return mails
}

// messages returns the customer's messages about an order, newest first.
func (v *visit) messages(orderID string) (messages []*notificationsv1.Message) {
	v.Helper()
	request := &notificationsv1.ListMessagesRequest{PageSize: 200}
	for {
		page, err := v.notifications.ListMessages(v.ctx, request)
		v.must("list messages", err)
		for _, m := range page.GetMessages() {
			if strings.Contains(m.GetBody(), orderID) {
				messages = append(messages, m)
			}
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return messages
		}
	}
}

// listens waits until notifications listens to orders. What happens before that is no news to it.
func (v *visit) listens() {
	v.Helper()
	client := connectRPC.client(v.T, v.shop)
	v.until("notifications listens", func() bool {
		for _, admin := range v.Admins() {
			answer, err := eventv1connect.NewEventServiceClient(client, admin+"/modules/orders").ListSubscribers(v.ctx, &eventv1.ListSubscribersRequest{})
			if err == nil { // The others do not hold orders.
				for _, s := range answer.GetSubscribers() {
					if s.GetName() == "notifications" {
						return true
					}
				}
			}
		}
		return false
	})
}

// until waits for what nobody tells a customer of.
func (v *visit) until(what string, holds func() bool) {
	v.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-v.ctx.Done():
			v.Fatalf("waited in vain until %s", what)
		}
	}
}
