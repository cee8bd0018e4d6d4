// Package customer buys through the public port of a shop, one step after the other, as every app does. It is what the demo, the
// benchmark and the load generator shop with; each of them decides what is bought, how often, and what is noted.
//
// It repeats nothing: what fails, fails.
package customer

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/platform/id"
)

// Customer shops at one shop. It may be used concurrently.
type Customer struct {
	Catalog   catalogv1connect.CatalogServiceClient
	Inventory inventoryv1connect.InventoryServiceClient
	Carts     ordersv1connect.CartServiceClient
	Orders    ordersv1connect.OrderServiceClient
}

// New returns a customer of the shop whose public port has the given URL.
func New(client connect.HTTPClient, url string, options ...connect.ClientOption) *Customer {
	return &Customer{
		Catalog: catalogv1connect.NewCatalogServiceClient(client, url, options...), Inventory: inventoryv1connect.NewInventoryServiceClient(client, url, options...),
		Carts: ordersv1connect.NewCartServiceClient(client, url, options...), Orders: ordersv1connect.NewOrderServiceClient(client, url, options...),
	}
}

// Item is so many pieces of a SKU.
type Item struct {
	SKU    string
	Pieces int64
}

// Fill makes a cart with the items in it, and returns its id. Of a SKU that comes twice the cart has what came last.
func (c *Customer) Fill(ctx context.Context, items ...Item) (cartID string, err error) {
	cart, err := c.Carts.CreateCart(ctx, &ordersv1.CreateCartRequest{RequestId: id.New("rq")})
	if err != nil {
		return "", fmt.Errorf("create cart: %w", err)
	}
	for _, item := range items {
		if err := c.Put(ctx, cart.GetCart().GetId(), item); err != nil {
			return "", err
		}
	}
	return cart.GetCart().GetId(), nil
}

// Put puts an item into a cart.
func (c *Customer) Put(ctx context.Context, cartID string, item Item) error {
	if _, err := c.Carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{
		RequestId: id.New("rq"), CartId: cartID, Sku: item.SKU, Quantity: item.Pieces,
	}); err != nil {
		return fmt.Errorf("put into cart: %w", err)
	}
	return nil
}

// Quote asks what a cart costs.
func (c *Customer) Quote(ctx context.Context, cartID string) (*ordersv1.Quote, error) {
	quote, err := c.Carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: id.New("rq"), CartId: cartID})
	if err != nil {
		return nil, fmt.Errorf("quote: %w", err)
	}
	return quote.GetQuote(), nil
}

// Place orders what a quote says.
func (c *Customer) Place(ctx context.Context, quoteID, paymentMethod string) (*ordersv1.Order, error) {
	placed, err := c.Orders.PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{RequestId: id.New("rq"), QuoteId: quoteID, PaymentMethod: paymentMethod})
	if err != nil {
		return nil, fmt.Errorf("place order: %w", err)
	}
	return placed.GetOrder(), nil
}

// Watch tells of each transition behind a sequence number, unless tell is nil, until the order settles, and returns the order as it is
// then; nil if there was no transition.
func (c *Customer) Watch(ctx context.Context, orderID string, after int64, tell func(*ordersv1.OrderTransition)) (*ordersv1.Order, error) {
	stream, err := c.Orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: orderID, AfterSequence: after})
	if err != nil {
		return nil, fmt.Errorf("watch order: %w", err)
	}
	defer stream.Close()
	var order *ordersv1.Order
	for stream.Receive() {
		order = stream.Msg().GetOrder()
		if tell != nil {
			tell(stream.Msg().GetTransition())
		}
	}
	if err := stream.Err(); err != nil {
		return nil, fmt.Errorf("watch order: %w", err)
	}
	return order, nil
}

// Available returns how many pieces of a SKU can be sold.
func (c *Customer) Available(ctx context.Context, sku string) (int64, error) {
	answer, err := c.Inventory.BatchGetAvailability(ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: []string{sku}})
	if err != nil {
		return 0, fmt.Errorf("read stock: %w", err)
	}
	return answer.GetAvailabilities()[0].GetAvailable(), nil
}
