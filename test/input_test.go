package test

import (
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

var inputScenarios = func() []scenario {
	var list []scenario
	for _, p := range protocols {
		list = append(list,
			scenario{"bad input over " + p.name, p, badInput},
			scenario{"unknown ids over " + p.name, p, unknownIDs},
			scenario{"a message that is too large over " + p.name, p, tooLarge})
	}
	return list
}()

// badInput holds that a refusal names the field, for programs in a detail and for people in the sentence.
func badInput(v *visit) {
	long := strings.Repeat("x", 129)
	for _, c := range []struct {
		field string
		call  func() error
	}{
		{"request_id", func() error {
			_, err := v.carts.CreateCart(v.ctx, &ordersv1.CreateCartRequest{})
			return err
		}},
		{"request_id", func() error {
			_, err := v.carts.CreateCart(v.ctx, &ordersv1.CreateCartRequest{RequestId: long})
			return err
		}},
		{"quantity", func() error {
			_, err := v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: "x", Sku: "x", Quantity: -1})
			return err
		}},
		{"quantity", func() error {
			_, err := v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: "x", Sku: "x", Quantity: 10_001})
			return err
		}},
		{"cart_id", func() error {
			_, err := v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request()})
			return err
		}},
		{"payment_method", func() error {
			_, err := v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: "x"})
			return err
		}},
		{"id", func() error {
			_, err := v.orders.GetOrder(v.ctx, &ordersv1.GetOrderRequest{})
			return err
		}},
		{"id", func() error {
			_, err := v.orders.CancelOrder(v.ctx, &ordersv1.CancelOrderRequest{RequestId: request(), Id: long})
			return err
		}},
		{"page_size", func() error {
			_, err := v.orders.ListOrders(v.ctx, &ordersv1.ListOrdersRequest{PageSize: -1})
			return err
		}},
		{"after_sequence", func() error {
			stream, err := v.orders.WatchOrder(v.ctx, &ordersv1.WatchOrderRequest{Id: "x", AfterSequence: -1})
			if err != nil {
				return err
			}
			for stream.Receive() {
			}
			return errors.Join(stream.Err(), stream.Close())
		}},
		{"skus", func() error {
			_, err := v.catalog.BatchGetVariants(v.ctx, &catalogv1.BatchGetVariantsRequest{})
			return err
		}},
		{"skus[1]", func() error {
			_, err := v.inventory.BatchGetAvailability(v.ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: []string{"x", ""}})
			return err
		}},
	} {
		err := c.call()
		v.refused("bad "+c.field, err, "invalid_argument "+c.field)
		if !strings.Contains(describe(err), ": "+c.field+": ") && !strings.Contains(err.Error(), c.field+": ") {
			v.Errorf("the sentence does not name %s: %v", c.field, err)
		}
	}
	for _, token := range []string{"!", "bm9wZQ", strings.Repeat("a", 512)} {
		_, err := v.orders.ListOrders(v.ctx, &ordersv1.ListOrdersRequest{PageToken: token})
		v.refused("a page token that nobody gave out", err, "invalid_argument")
	}
}

func unknownIDs(v *visit) {
	sku := v.product(1990, 1)
	for _, unknown := range []string{"ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b", "x", "'; DROP TABLE orders; --", "\x01", "ü"} {
		for what, call := range map[string]func() error{
			"GetProduct": func() error {
				_, err := v.catalog.GetProduct(v.ctx, &catalogv1.GetProductRequest{Id: unknown})
				return err
			},
			"GetCart": func() error {
				_, err := v.carts.GetCart(v.ctx, &ordersv1.GetCartRequest{Id: unknown})
				return err
			},
			"SetCartItem": func() error {
				_, err := v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: unknown, Sku: sku, Quantity: 1})
				return err
			},
			"SetCartItem, SKU": func() error {
				_, err := v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: v.cart(), Sku: unknown, Quantity: 1})
				return err
			},
			"CreateQuote": func() error {
				_, err := v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: unknown})
				return err
			},
			"PlaceOrder": func() error {
				_, err := v.orders.PlaceOrder(v.ctx, &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: unknown, PaymentMethod: "pm_card_visa"})
				return err
			},
			"GetOrder": func() error {
				_, err := v.orders.GetOrder(v.ctx, &ordersv1.GetOrderRequest{Id: unknown})
				return err
			},
			"CancelOrder": func() error {
				_, err := v.orders.CancelOrder(v.ctx, &ordersv1.CancelOrderRequest{RequestId: request(), Id: unknown})
				return err
			},
			"WatchOrder": func() error {
				return v.follow(unknown, 0, func(*ordersv1.WatchOrderResponse) bool { return true })
			},
		} {
			if got := code(call()); got != "not_found" {
				v.Errorf("%s of %q: got %s, want not_found", what, unknown, got)
			}
		}
	}
	variants, err := v.catalog.BatchGetVariants(v.ctx, &catalogv1.BatchGetVariantsRequest{Skus: []string{"x", sku}})
	v.must("get variants", err)
	equal(v, "known variants", len(variants.GetVariants()), 1)
	equal(v, "pieces of an unknown SKU", v.available("x"), 0)
}

func tooLarge(v *visit) {
	_, err := v.carts.CreateCart(v.ctx, &ordersv1.CreateCartRequest{RequestId: strings.Repeat("x", rpc.MaxMessageBytes)})
	if got := connect.CodeOf(err); got != connect.CodeResourceExhausted {
		v.Errorf("got %s, want resource_exhausted", describe(err))
	}
	v.saw("%s", fmt.Sprint(connect.CodeOf(err)))
	v.cart() // The next request is none the worse for it.
}
