package orders_test

import (
	"context"
	"errors"
	"testing"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5/pgconn"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// calls are all methods, called with the ids of what belongs to one customer. Each has a request id of its own.
func (c *customer) everyCall(cart, quote, order string) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"CreateCart": func(ctx context.Context) error {
			_, err := c.carts.CreateCart(ctx, &ordersv1.CreateCartRequest{RequestId: c.next("r ")})
			return err
		},
		"GetCart": func(ctx context.Context) error {
			_, err := c.carts.GetCart(ctx, &ordersv1.GetCartRequest{Id: cart})
			return err
		},
		"SetCartItem": func(ctx context.Context) error {
			_, err := c.carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{RequestId: c.next("r "), CartId: cart, Sku: c.sku, Quantity: 9})
			return err
		},
		"SetCartItem to none": func(ctx context.Context) error {
			_, err := c.carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{RequestId: c.next("r "), CartId: cart, Sku: c.sku})
			return err
		},
		"CreateQuote": func(ctx context.Context) error {
			_, err := c.carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: c.next("r "), CartId: cart})
			return err
		},
		"PlaceOrder": func(ctx context.Context) error {
			_, err := c.orders.PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{RequestId: c.next("r "), QuoteId: quote, PaymentMethod: good})
			return err
		},
		"GetOrder": func(ctx context.Context) error {
			_, err := c.orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: order})
			return err
		},
		"ListOrders": func(ctx context.Context) error {
			_, err := c.orders.ListOrders(ctx, &ordersv1.ListOrdersRequest{})
			return err
		},
		"WatchOrder": func(ctx context.Context) error {
			stream, err := c.orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: order})
			if err != nil {
				return err
			}
			defer stream.Close()
			for stream.Receive() {
				c.t.Errorf("somebody sees %v", stream.Msg())
			}
			return stream.Err()
		},
		"CancelOrder": func(ctx context.Context) error {
			_, err := c.orders.CancelOrder(ctx, &ordersv1.CancelOrderRequest{RequestId: c.next("r "), Id: order})
			return err
		},
		"ListFulfillments": func(ctx context.Context) error {
			_, err := c.parcels.ListFulfillments(ctx, &ordersv1.ListFulfillmentsRequest{OrderId: order})
			return err
		},
		"ListReversals": func(ctx context.Context) error {
			_, err := c.parcels.ListReversals(ctx, &ordersv1.ListReversalsRequest{OrderId: order})
			return err
		},
		"CancelRest": func(ctx context.Context) error {
			_, err := c.parcels.CancelRest(ctx, &ordersv1.CancelRestRequest{RequestId: c.next("r "), OrderId: order})
			return err
		},
		"GetQuickOrder": func(ctx context.Context) error {
			_, err := c.quick.GetQuickOrder(ctx, &ordersv1.GetQuickOrderRequest{Id: order})
			return err
		},
	}
}

// What belongs to another customer is not there; not even a customer is told that it is.
func TestOthersAndNobodyGetNothing(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	order := c.order(good)
	c.ends(order, confirmed, "")
	cart := c.cart()
	quote, err := c.quote(cart)
	if err != nil {
		t.Fatal(err)
	}
	other := moduletest.As(t, "usr_other")
	for name, call := range c.everyCall(cart, quote.GetId(), order) {
		if err := call(moduletest.As(t, "")); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("nobody, %s: %v, want unauthenticated", name, err)
		}
		if err := call(other); name != "CreateCart" && name != "ListOrders" && connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("another customer, %s: %v, want not found", name, err)
		}
	}
	listed, err := c.orders.ListOrders(other, &ordersv1.ListOrdersRequest{})
	if err != nil || len(listed.GetOrders()) > 0 {
		t.Errorf("another customer lists %v, %v", listed, err)
	}
	// And nothing has happened.
	c.ends(order, confirmed, "")
	answer, err := c.carts.GetCart(c.ctx, &ordersv1.GetCartRequest{Id: cart})
	if err != nil || content(answer.GetCart()) != c.sku+"×3 " {
		t.Errorf("the cart has become %v, %v", answer, err)
	}
}

// What has happened to an order is never changed, whatever the program tries.
func TestTransitionsCannotBeChanged(t *testing.T) {
	t.Parallel()
	c := setup(t).customer(t)
	c.ends(c.order(good), confirmed, "")
	for _, statement := range []string{"UPDATE transition SET note = ''", "DELETE FROM transition", "TRUNCATE transition", "DROP TABLE transition"} {
		_, err := c.Hosts["orders"].DB.Pool().Exec(c.ctx, statement)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want insufficient privilege", statement, err)
		}
	}
}
