package orders_test

import (
	"slices"
	"sync"
	"testing"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

func TestOrderIsWhatWasQuoted(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	quote, err := c.quote(c.cart())
	if err != nil {
		t.Fatal(err)
	}
	order, err := c.place(quote.GetId(), good)
	if err != nil {
		t.Fatal(err)
	}
	line := order.GetLines()[0]
	if order.GetUserId() != c.user || order.GetQuoteId() != quote.GetId() || order.GetTotal().GetAmount() != quantity*unitPrice || order.GetTotal().GetCurrency() != "EUR" ||
		order.GetState() != ordersv1.OrderState_ORDER_STATE_PENDING || order.GetSequence() != 1 ||
		len(order.GetLines()) != 1 || line.GetSku() != c.sku || line.GetQuantity() != quantity || line.GetUnitPrice().GetAmount() != unitPrice {
		t.Errorf("%v, quoted as %v", order, quote)
	}
	c.ends(order.GetId(), confirmed, "")
}

// A quote is ordered as it is, or not at all.
func TestPlaceOrderIsRefused(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, test := range []struct {
		name, reason string
		spoil        func(c *customer, quote string)
	}{
		{"expired", "QUOTE_EXPIRED", func(c *customer, quote string) {
			c.Exec(c.t, "UPDATE orders.quote SET expire_time = now() - interval '1 second' WHERE id = $1", quote)
		}},
		{"used", "QUOTE_USED", func(c *customer, quote string) {
			if _, err := c.place(quote, good); err != nil {
				c.t.Fatal(err)
			}
		}},
		{"another quote of the cart is used", "QUOTE_USED", func(c *customer, quote string) {
			cart := moduletest.Value[string](c.t, c.House, "SELECT cart_id FROM orders.quote WHERE id = $1", quote)
			other, err := c.quote(cart)
			if err != nil {
				c.t.Fatal(err)
			}
			if _, err := c.place(other.GetId(), good); err != nil {
				c.t.Fatal(err)
			}
		}},
		{"dearer", "PRICE_CHANGED", func(c *customer, _ string) { c.offer(c.t, c.sku, euros(unitPrice+1), published) }},
		{"cheaper", "PRICE_CHANGED", func(c *customer, _ string) { c.offer(c.t, c.sku, euros(unitPrice-1), published) }},
		{"another currency", "PRICE_CHANGED", func(c *customer, _ string) {
			c.offer(c.t, c.sku, &typev1.Money{Amount: unitPrice, Currency: "USD"}, published)
		}},
		{"changed and changed back", "PRICE_CHANGED", func(c *customer, _ string) {
			c.offer(c.t, c.sku, euros(1), published)
			c.offer(c.t, c.sku, euros(unitPrice), published)
		}},
		{"archived", "PRICE_CHANGED", func(c *customer, _ string) {
			c.offer(c.t, c.sku, euros(unitPrice), catalogv1.ProductState_PRODUCT_STATE_ARCHIVED)
		}},
		{"taken out and put back at another price", "PRICE_CHANGED", func(c *customer, _ string) {
			c.Exec(c.t, "DELETE FROM catalog.variant WHERE sku = $1", c.sku)
			c.offer(c.t, c.sku, euros(unitPrice+1), published)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := s.customer(t)
			quote := c.quoted()
			test.spoil(c, quote)
			_, err := c.place(quote, good)
			refused(t, err, connect.CodeFailedPrecondition, test.reason)
			if n := moduletest.Value[int64](t, c.House, `SELECT count(*) FROM orders."order" WHERE user_id = $1`, c.user); (n == 1) != (test.reason == "QUOTE_USED") {
				t.Errorf("the customer has %d orders", n)
			}
		})
	}
}

// Somebody who presses the button again and again buys once.
func TestConcurrentPlaceOrderMakesOneOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, sameID := range []bool{true, false} {
		c := s.customer(t)
		quote := c.quoted()
		var mu sync.Mutex
		answers := map[string]int{}
		var waiting sync.WaitGroup
		for range 30 {
			r := &ordersv1.PlaceOrderRequest{RequestId: "press", QuoteId: quote, PaymentMethod: good}
			if !sameID {
				r.RequestId = c.next("press ")
			}
			waiting.Go(func() {
				answer, err := c.orders.PlaceOrder(c.ctx, r)
				if err != nil && (sameID || connect.CodeOf(err) != connect.CodeFailedPrecondition) {
					t.Errorf("with the same id %v: %v", sameID, err)
				}
				mu.Lock()
				defer mu.Unlock()
				answers[answer.GetOrder().GetId()]++
			})
		}
		waiting.Wait()
		refusals := answers[""]
		delete(answers, "")
		if len(answers) != 1 || !sameID && refusals != 29 {
			t.Errorf("with the same id %v: orders %v and %d refusals, want one order", sameID, answers, refusals)
		}
		for id := range answers {
			c.ends(id, confirmed, "")
		}
		if n := moduletest.Value[int64](t, c.House, `SELECT count(*) FROM orders."order" WHERE user_id = $1`, c.user); n != 1 {
			t.Errorf("with the same id %v: there are %d orders, want one", sameID, n)
		}
	}
}

func TestListOrdersShowsEachOnceNewestFirst(t *testing.T) {
	t.Parallel()
	s := setup(t)
	c, other := s.customer(t), s.customer(t)
	var placed []string
	for range 7 {
		placed = append(placed, c.order(declined))
		other.order(declined)
	}
	slices.Reverse(placed)
	for _, size := range []int32{0, 1, 3, 7, 1e9} {
		var listed []string
		r := &ordersv1.ListOrdersRequest{PageSize: size}
		for page := 0; page == 0 || r.PageToken != ""; page++ {
			answer, err := c.orders.ListOrders(c.ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			for _, order := range answer.GetOrders() {
				listed = append(listed, order.GetId())
			}
			r.PageToken = answer.GetNextPageToken()
		}
		if !slices.Equal(listed, placed) {
			t.Errorf("pages of %d: %q, want %q", size, listed, placed)
		}
	}
	answer, err := other.orders.ListOrders(other.ctx, &ordersv1.ListOrdersRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.orders.ListOrders(c.ctx, &ordersv1.ListOrdersRequest{PageToken: answer.GetNextPageToken()}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("with the page token of another customer: %v, want an invalid argument", err)
	}
}
