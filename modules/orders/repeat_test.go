package orders_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// written returns what the module has written down because it was asked to. What checkouts do with it by themselves does not count.
func (s *shop) written(t *testing.T) string {
	t.Helper()
	var rows []string
	for _, of := range []string{
		"SELECT id, user_id FROM orders.cart", "SELECT cart_id, sku, quantity FROM orders.cart_item", "SELECT id FROM orders.quote", `SELECT id, user_id FROM orders."order"`,
		"SELECT order_id, note FROM orders.transition WHERE note ~ '^(order placed|cancelled|claimed|shipped|came back|the rest)'",
		"SELECT id FROM orders.fulfillment", "SELECT id FROM orders.reversal", "SELECT id, disabled FROM orders.coupon",
	} {
		rows = append(rows, moduletest.Query[string](t, s.House, "SELECT r::text FROM ("+of+") r ORDER BY 1")...)
	}
	return strings.Join(rows, "\n")
}

func TestEveryRequestHappensOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c, g, other := s.customer(t), s.guest(t, "one@example.org"), s.guest(t, "other@example.org")
	c.Exec(t, "UPDATE inventory.stock SET on_hand = 1000 WHERE sku = $1", c.sku)
	staff := moduletest.As(t, "usr_staff", "staff")
	g.watch(g.order(good), 0)
	other.watch(other.order(good), 0)
	shippedOrder := func(pieces int64) string {
		id := c.order(good)
		c.watch(id, 0)
		if _, err := c.ship(id, pieces); err != nil {
			t.Fatal(err)
		}
		return id
	}
	// Of each there are two: what a request is about, and what another is about under the same id.
	pair := func(do func() string) func(other bool) string {
		these := [2]string{do(), do()}
		return func(other bool) string {
			if other {
				return these[1]
			}
			return these[0]
		}
	}
	order := func() string {
		id := c.order(good)
		c.watch(id, 0)
		return id
	}
	toCancel, toShip := pair(order), pair(order)
	begun, sent := pair(func() string { return shippedOrder(1) }), pair(func() string { return shippedOrder(0) })
	cart, toQuote, quote := pair(c.cart), pair(c.cart), pair(c.quoted)
	coupon := pair(func() string { return s.coupon(t, &ordersv1.CreateCouponRequest{Percent: 10}) })
	product := c.product()
	word := func(other bool, this, that string) string {
		if other {
			return that
		}
		return this
	}
	calls := moduletest.Requests{
		"CreateCart": func(other bool) (proto.Message, error) {
			if other { // The request has nothing but its id.
				return nil, nil
			}
			return s.carts.CreateCart(c.ctx, &ordersv1.CreateCartRequest{RequestId: "same"})
		},
		"SetCartItem": func(other bool) (proto.Message, error) {
			return s.carts.SetCartItem(c.ctx, &ordersv1.SetCartItemRequest{RequestId: "same", CartId: cart(other), Sku: c.sku, Quantity: 7})
		},
		"CreateQuote": func(other bool) (proto.Message, error) {
			return s.carts.CreateQuote(c.ctx, &ordersv1.CreateQuoteRequest{RequestId: "same", CartId: toQuote(other)})
		},
		"PlaceOrder": func(other bool) (proto.Message, error) {
			return s.orders.PlaceOrder(c.ctx, &ordersv1.PlaceOrderRequest{RequestId: "same", QuoteId: quote(other), PaymentMethod: good})
		},
		"CancelOrder": func(other bool) (proto.Message, error) {
			return s.orders.CancelOrder(c.ctx, &ordersv1.CancelOrderRequest{RequestId: "same", Id: toCancel(other)})
		},
		"CreateFulfillment": func(other bool) (proto.Message, error) {
			return s.parcels.CreateFulfillment(staff, &ordersv1.CreateFulfillmentRequest{RequestId: "same", OrderId: toShip(other)})
		},
		"ReturnLines": func(other bool) (proto.Message, error) {
			return s.parcels.ReturnLines(staff, &ordersv1.ReturnLinesRequest{RequestId: "same", OrderId: sent(other), Lines: c.some(1)})
		},
		"CancelRest": func(other bool) (proto.Message, error) {
			return s.parcels.CancelRest(c.ctx, &ordersv1.CancelRestRequest{RequestId: "same", OrderId: begun(other)})
		},
		"CreateCoupon": func(other bool) (proto.Message, error) {
			return s.coupons.CreateCoupon(staff, &ordersv1.CreateCouponRequest{RequestId: "same", Code: word(other, "THIS", "THAT"), Percent: 10})
		},
		"DisableCoupon": func(other bool) (proto.Message, error) {
			return s.coupons.DisableCoupon(staff, &ordersv1.DisableCouponRequest{RequestId: "same", Id: coupon(other)})
		},
		"CreateQuickOrder": func(other bool) (proto.Message, error) {
			r := &ordersv1.CreateQuickOrderRequest{RequestId: "same", UserId: c.user, ProductId: product, Quantity: 1}
			if other {
				r.Quantity = 2
			}
			return s.quick.CreateQuickOrder(c.ctx, r)
		},
		"ClaimGuestOrders": func(other bool) (proto.Message, error) {
			return s.inside().ClaimGuestOrders(moduletest.As(t, ""), &ordersv1.ClaimGuestOrdersRequest{
				RequestId: "same", UserId: "usr_ada", Email: word(other, "one@example.org", "other@example.org"),
			})
		},
	}
	calls.HappenOnce(t, orders.Module.Serves, func() string { return s.written(t) }, func(name, before, after string) {
		// A quick order has a cart, a quote and an order, and that it was placed is in the log.
		if added := strings.Count(after, "\n") - strings.Count(before, "\n"); added > 4 {
			t.Errorf("%s has added %d rows", name, added)
		}
	})
}
