package house

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/gen/cleave/payments/v1/paymentsv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/id"
)

// Customer shops in a house, also while parts of it are gone: what fails for a reason that passes is repeated as it was, under the same
// request id, until the context ends. It may be used concurrently.
type Customer struct {
	// What customers call, through the public port.
	Carts  ordersv1connect.CartServiceClient
	Orders ordersv1connect.OrderServiceClient
	Stock  inventoryv1connect.InventoryServiceClient
	// Staff is what the people of the shop call, through the public port as well.
	Staff Staff
	// Inside is what orders calls, at the internal ports.
	Inside Inside
}

// Staff are the clients of the people of the shop.
type Staff struct {
	Catalog   catalogv1connect.CatalogServiceClient
	Inventory inventoryv1connect.InventoryServiceClient
	Parcels   ordersv1connect.FulfillmentServiceClient
	Coupons   ordersv1connect.CouponServiceClient
}

// Inside are clients of internal methods.
type Inside struct {
	Inventory inventoryv1connect.InventoryServiceClient
	Payments  paymentsv1connect.PaymentServiceClient
}

// AsOrders makes a client call in the name of the module orders.
var AsOrders = connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		r.Header().Set("Cleave-Caller", "orders")
		return next(ctx, r)
	}
}))

// Customer returns a customer.
func (h *House) Customer(t testing.TB) *Customer {
	versions := new(http.Protocols)
	versions.SetHTTP2(true)
	versions.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: versions, TLSClientConfig: h.AsOrders()}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	return &Customer{
		Carts:  ordersv1connect.NewCartServiceClient(client, h.Public()),
		Orders: ordersv1connect.NewOrderServiceClient(client, h.Public()),
		Stock:  inventoryv1connect.NewInventoryServiceClient(client, h.Public()),
		Staff: Staff{
			Catalog:   catalogv1connect.NewCatalogServiceClient(client, h.Public()),
			Inventory: inventoryv1connect.NewInventoryServiceClient(client, h.Public()),
			Parcels:   ordersv1connect.NewFulfillmentServiceClient(client, h.Public()),
			Coupons:   ordersv1connect.NewCouponServiceClient(client, h.Public()),
		},
		Inside: Inside{
			Inventory: inventoryv1connect.NewInventoryServiceClient(client, h.Internal("inventory"), AsOrders),
			Payments:  paymentsv1connect.NewPaymentServiceClient(client, h.Internal("payments"), AsOrders),
		},
	}
}

const (
	// again is the pause before something is repeated, give or take a half, so that those who failed together do not come back together.
	again = 50 * time.Millisecond
	// answerTime bounds one try: what has not been answered by then is repeated.
	answerTime = 10 * time.Second
)

// Insist calls until the answer is one that does not pass, or the context ends.
func Insist[Request, Response any](ctx context.Context, call func(context.Context, *Request) (*Response, error), r *Request) (*Response, error) {
	for {
		once, cancel := context.WithTimeout(ctx, answerTime)
		response, err := call(once, r)
		cancel()
		if err == nil || !passes(err) {
			return response, err
		}
		if !pause(ctx) {
			return nil, fmt.Errorf("%w, after %w", ctx.Err(), err)
		}
	}
}

// passes reports whether a call that failed so may be answered when it is repeated.
func passes(err error) bool {
	if !connect.IsWireError(err) { // Nobody has answered, or not to the end.
		return true
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted, connect.CodeAborted:
		return true
	}
	return false
}

// pause reports whether the context still lasts after a pause.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(again/2 + rand.N(again)):
		return true
	}
}

// Product puts a product of one variant on sale and returns its SKU, which nobody else uses.
func (c *Customer) Product(ctx context.Context, cents, pieces int64) (sku string, err error) {
	sku = id.New("sku")
	_, err = Insist(ctx, c.Staff.Catalog.BatchUpsertProducts, &catalogv1.BatchUpsertProductsRequest{
		RequestId: id.New("rq"), Products: []*catalogv1.UpsertProduct{{
			Title: "Thing", Category: "test", State: catalogv1.ProductState_PRODUCT_STATE_PUBLISHED,
			Variants: []*catalogv1.UpsertVariant{{Sku: sku, Price: &typev1.Money{Amount: cents, Currency: "EUR"}}},
		}},
	})
	if err != nil {
		return "", fmt.Errorf("offer a product: %w", err)
	}
	_, err = Insist(ctx, c.Staff.Inventory.AdjustStock, &inventoryv1.AdjustStockRequest{
		RequestId: id.New("rq"), Adjustments: []*inventoryv1.StockAdjustment{{Sku: sku, Delta: pieces}},
	})
	if err != nil {
		return "", fmt.Errorf("add stock: %w", err)
	}
	return sku, nil
}

// Available returns how many pieces of a SKU can be sold.
func (c *Customer) Available(ctx context.Context, sku string) (int64, error) {
	answer, err := Insist(ctx, c.Stock.BatchGetAvailability, &inventoryv1.BatchGetAvailabilityRequest{Skus: []string{sku}})
	if err != nil {
		return 0, fmt.Errorf("ask for stock: %w", err)
	}
	return answer.GetAvailabilities()[0].GetAvailable(), nil
}

// Quote fills a new cart with pieces of a SKU and returns the id of what they cost.
func (c *Customer) Quote(ctx context.Context, sku string, quantity int64) (string, error) {
	cart, err := Insist(ctx, c.Carts.CreateCart, &ordersv1.CreateCartRequest{RequestId: id.New("rq")})
	if err != nil {
		return "", fmt.Errorf("create a cart: %w", err)
	}
	cartID := cart.GetCart().GetId()
	_, err = Insist(ctx, c.Carts.SetCartItem, &ordersv1.SetCartItemRequest{RequestId: id.New("rq"), CartId: cartID, Sku: sku, Quantity: quantity})
	if err != nil {
		return "", fmt.Errorf("fill the cart: %w", err)
	}
	quote, err := Insist(ctx, c.Carts.CreateQuote, &ordersv1.CreateQuoteRequest{RequestId: id.New("rq"), CartId: cartID})
	if err != nil {
		return "", fmt.Errorf("ask for a quote: %w", err)
	}
	return quote.GetQuote().GetId(), nil
}

// Buy orders pieces of a SKU. It does not wait for what becomes of the order.
func (c *Customer) Buy(ctx context.Context, paymentMethod, sku string, quantity int64) (*ordersv1.Order, error) {
	quoteID, err := c.Quote(ctx, sku, quantity)
	if err != nil {
		return nil, err
	}
	placed, err := Insist(ctx, c.Orders.PlaceOrder, &ordersv1.PlaceOrderRequest{RequestId: id.New("rq"), QuoteId: quoteID, PaymentMethod: paymentMethod})
	if err != nil {
		return nil, fmt.Errorf("place an order: %w", err)
	}
	return placed.GetOrder(), nil
}

// Cancel cancels an order. It does not wait until that is done.
func (c *Customer) Cancel(ctx context.Context, orderID string) error {
	if _, err := Insist(ctx, c.Orders.CancelOrder, &ordersv1.CancelOrderRequest{RequestId: id.New("rq"), Id: orderID}); err != nil {
		return fmt.Errorf("cancel order %s: %w", orderID, err)
	}
	return nil
}

// Await watches an order until it has been in one of the states, and returns it as it is then.
func (c *Customer) Await(ctx context.Context, orderID string, states ...ordersv1.OrderState) (*ordersv1.Order, error) {
	for {
		order, err := c.watch(ctx, orderID, states)
		if order != nil || err != nil && !passes(err) {
			return order, err
		}
		if !pause(ctx) {
			now, err := c.Orders.GetOrder(context.WithoutCancel(ctx), &ordersv1.GetOrderRequest{Id: orderID})
			return nil, fmt.Errorf("order %s is %s and not one of %v: %w", orderID, now.GetOrder().GetState(), states, errors.Join(ctx.Err(), err))
		}
	}
}

// watch watches an order until it has been in one of the states, or settles, or nobody tells any more. It returns nil unless it has.
func (c *Customer) watch(ctx context.Context, orderID string, states []ordersv1.OrderState) (*ordersv1.Order, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: orderID})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	for stream.Receive() {
		for _, state := range states {
			if stream.Msg().GetTransition().GetState() == state {
				cancel() // Closing waits for the end of the stream.
				return stream.Msg().GetOrder(), nil
			}
		}
	}
	return nil, stream.Err()
}
