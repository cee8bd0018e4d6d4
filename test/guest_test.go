package test

import (
	"crypto/rand"
	"encoding/base64"
	"strings"

	"github.com/jackc/pgx/v5"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

var guestScenarios = func() []scenario {
	var list []scenario
	for _, p := range protocols {
		list = append(list, scenario{"a guest buys over " + p.name, p, buyAsGuest})
	}
	return list
}()

// newGuest returns the secret of somebody who has no account.
func newGuest() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // It never fails.
	return "guest_" + base64.RawURLEncoding.EncodeToString(secret)
}

func isGuest(token string) bool { return strings.HasPrefix(token, "guest_") }

// buyAsGuest holds that a guest buys, is written to at his address, and meets what is his and nothing else; and that no log has the address
// or the secret.
func buyAsGuest(v *visit) {
	v.listens()
	shop := v.ctx
	sku := v.product(1990, 10)
	secret := newGuest()
	v.ctx, v.email = bearing(shop, secret), "Grace.Hopper@example.org"
	order := v.settled(v.buy("pm_card_visa", item{sku, 2}).GetId(), confirmed, "")
	list, err := v.orders.ListOrders(v.ctx, &ordersv1.ListOrdersRequest{})
	v.must("list orders", err)
	equal(v, "orders of the guest", len(list.GetOrders()), 1)
	quote := v.quote(v.cart(item{sku, 1}))
	_, err = v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetId(), PaymentMethod: "pm_card_visa"})
	v.refused("order without an address", err, "invalid_argument EMAIL_REQUIRED")
	v.until("the mail is sent", func() bool { return v.mailed(order.GetId()) != "" })
	equal(v, "where the mail went", v.mailed(order.GetId()), "grace.hopper@example.org")
	v.ctx = bearing(shop, newGuest())
	_, err = v.orders.GetOrder(v.ctx, &ordersv1.GetOrderRequest{Id: order.GetId()})
	v.refused("another guest looks", err, "not_found")
	_, err = v.orders.CancelOrder(v.ctx, &ordersv1.CancelOrderRequest{RequestId: request(), Id: order.GetId()})
	v.refused("another guest cancels", err, "not_found")
	v.ctx = bearing(shop, "guest_mine")
	_, err = v.orders.GetOrder(v.ctx, &ordersv1.GetOrderRequest{Id: order.GetId()})
	v.refused("with a secret that is none", err, "unauthenticated TOKEN_INVALID")
	v.ctx = bearing(shop, secret)
	v.cancel(order.GetId())
	v.settled(order.GetId(), cancelled, "CANCELLED_BY_CUSTOMER")
	for _, private := range []string{secret, "hopper", "Hopper"} {
		if strings.Contains(v.Logs(), private) {
			v.Errorf("the log has %q", private)
		}
	}
}

// mailed returns where mails about an order went, once each.
func (v *visit) mailed(orderID string) string {
	v.Helper()
	db, err := pgx.Connect(v.ctx, v.Databases["notifications"])
	v.must("connect to the database of notifications", err)
	defer db.Close(v.ctx)
	var recipients string
	v.must("look into the mailbox", db.QueryRow(v.ctx, "SELECT coalesce(string_agg(DISTINCT recipient, ' '), '') FROM notifications.mail WHERE body LIKE '%' || $1 || '%'", orderID).
		Scan(&recipients))
	return recipients
}
