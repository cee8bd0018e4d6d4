package orders_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/catalog"
	"github.com/cleave-go/cleave/modules/inventory"
	"github.com/cleave-go/cleave/modules/orders"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) {
	// Some steps of the property tests are transactions. The command line wins.
	if err := flag.Set("rapid.checks", "25"); err != nil {
		panic(err)
	}
	postgrestest.Main(m)
}

const (
	pieces    = 10   // of a SKU in stock
	unitPrice = 1500 // cents
	quantity  = 3    // that a customer buys
)

// shop is orders, catalog and inventory at work, with a fake of payments and with faults on demand.
type shop struct {
	*moduletest.House
	carts     ordersv1connect.CartServiceClient
	orders    ordersv1connect.OrderServiceClient
	parcels   ordersv1connect.FulfillmentServiceClient
	coupons   ordersv1connect.CouponServiceClient
	quick     ordersv1connect.QuickOrderServiceClient
	catalog   catalogv1connect.CatalogServiceClient
	inventory inventoryv1connect.InventoryServiceClient
	payments  *payments
	faults    *faults
	ids       atomic.Int64
}

func setup(t *testing.T) *shop {
	t.Helper()
	return setupWith(t, nil)
}

// setupWith is setup with other settings of orders.
func setupWith(t *testing.T, settings map[string]string) *shop {
	t.Helper()
	selling := orders.Module
	selling.Settings = slices.Clone(selling.Settings)
	for i, setting := range selling.Settings {
		if value, set := settings[setting.Name]; set {
			selling.Settings[i].Default = value
		}
	}
	s := &shop{payments: newPayments(), faults: newFaults()}
	s.House = moduletest.StartWith(t, []rpc.Interceptor{s.faults.intercept}, catalog.Module, inventory.Module, selling, s.payments.module())
	edge := s.Caller("edge", ordersv1cleave.CartService, ordersv1cleave.OrderService, ordersv1cleave.FulfillmentService, ordersv1cleave.CouponService, ordersv1cleave.QuickOrderService,
		catalogv1cleave.CatalogService)
	s.carts, s.orders = ordersv1cleave.NewCartServiceClient(edge), ordersv1cleave.NewOrderServiceClient(edge)
	s.parcels = ordersv1cleave.NewFulfillmentServiceClient(edge)
	s.coupons = ordersv1cleave.NewCouponServiceClient(edge)
	s.quick = ordersv1cleave.NewQuickOrderServiceClient(edge)
	s.catalog = catalogv1cleave.NewCatalogServiceClient(edge)
	s.inventory = inventoryv1cleave.NewInventoryServiceClient(s.Caller("another", inventoryv1cleave.InventoryService))
	return s
}

// next returns something that was not there before, with a prefix.
func (s *shop) next(prefix string) string { return fmt.Sprint(prefix, s.ids.Add(1)) }

// offer puts a product with one SKU into the catalog and returns the SKU. An SKU that is there already is changed.
func (s *shop) offer(t *testing.T, sku string, price *typev1.Money, state catalogv1.ProductState) {
	t.Helper()
	_, err := s.catalog.BatchUpsertProducts(moduletest.As(t, "usr_staff", "staff"), &catalogv1.BatchUpsertProductsRequest{
		RequestId: s.next("offer "), Products: []*catalogv1.UpsertProduct{
			{Title: "Mug", State: state, Variants: []*catalogv1.UpsertVariant{{Sku: sku, Title: "blue", Price: price}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func euros(cents int64) *typev1.Money { return &typev1.Money{Amount: cents, Currency: "EUR"} }

// customer is somebody who wants to buy one SKU, which nobody else buys.
type customer struct {
	*shop
	t    *testing.T
	user string
	ctx  context.Context
	sku  string
	// price is that of a piece in cents.
	price int64
	// email is that of a guest.
	email string
}

// customer returns a new customer of a product that is in stock.
func (s *shop) customer(t *testing.T) *customer {
	t.Helper()
	return s.customerFor(t, unitPrice)
}

func (s *shop) customerFor(t *testing.T, price int64) *customer {
	t.Helper()
	c := &customer{shop: s, t: t, user: s.next("usr_"), sku: s.next("sku "), price: price}
	c.ctx = moduletest.As(t, c.user)
	s.offer(t, c.sku, euros(price), catalogv1.ProductState_PRODUCT_STATE_PUBLISHED)
	if _, err := s.inventory.AdjustStock(moduletest.As(t, "usr_staff", "staff"), &inventoryv1.AdjustStockRequest{
		RequestId: s.next("receive "), Adjustments: []*inventoryv1.StockAdjustment{{Sku: c.sku, Delta: pieces}},
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// cart opens a cart with some pieces in it and returns its id.
func (c *customer) cart() string {
	c.t.Helper()
	opened, err := c.carts.CreateCart(c.ctx, &ordersv1.CreateCartRequest{RequestId: c.next("cart ")})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.set(opened.GetCart().GetId(), c.sku, quantity); err != nil {
		c.t.Fatal(err)
	}
	return opened.GetCart().GetId()
}

func (c *customer) set(cartID, sku string, quantity int64) (*ordersv1.Cart, error) {
	answer, err := c.carts.SetCartItem(c.ctx, &ordersv1.SetCartItemRequest{RequestId: c.next("set "), CartId: cartID, Sku: sku, Quantity: quantity})
	return answer.GetCart(), err
}

func (c *customer) quote(cartID string) (*ordersv1.Quote, error) {
	answer, err := c.carts.CreateQuote(c.ctx, &ordersv1.CreateQuoteRequest{RequestId: c.next("quote "), CartId: cartID})
	return answer.GetQuote(), err
}

// quoted returns the id of a quote for a new cart.
func (c *customer) quoted() string {
	c.t.Helper()
	quote, err := c.quote(c.cart())
	if err != nil {
		c.t.Fatal(err)
	}
	return quote.GetId()
}

func (c *customer) place(quoteID, method string) (*ordersv1.Order, error) {
	answer, err := c.orders.PlaceOrder(c.ctx, &ordersv1.PlaceOrderRequest{RequestId: c.next("place "), QuoteId: quoteID, PaymentMethod: method, Email: c.email})
	return answer.GetOrder(), err
}

// order places an order and returns its id.
func (c *customer) order(method string) string {
	c.t.Helper()
	order, err := c.place(c.quoted(), method)
	if err != nil {
		c.t.Fatal(err)
	}
	return order.GetId()
}

func (c *customer) cancel(orderID string) error {
	_, err := c.orders.CancelOrder(c.ctx, &ordersv1.CancelOrderRequest{RequestId: c.next("cancel "), Id: orderID})
	return err
}

// get returns an order.
func (c *customer) get(orderID string) *ordersv1.Order {
	c.t.Helper()
	answer, err := c.orders.GetOrder(c.ctx, &ordersv1.GetOrderRequest{Id: orderID})
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.GetOrder()
}

// watch returns the transitions of an order after a sequence, when it has settled.
func (c *customer) watch(orderID string, after int64) (seen []*ordersv1.OrderTransition) {
	c.t.Helper()
	stream, err := c.orders.WatchOrder(c.ctx, &ordersv1.WatchOrderRequest{Id: orderID, AfterSequence: after})
	if err != nil {
		c.t.Fatal(err)
	}
	defer stream.Close()
	for stream.Receive() {
		seen = append(seen, stream.Msg().GetTransition())
	}
	if err := stream.Err(); err != nil {
		c.t.Fatalf("watch %s: %v, seen %v", orderID, err, seen)
	}
	return seen
}

// resume takes the checkout of an order from whoever drives it, as the end of a lease does. Within a second another driver has it, which
// calls in nobody's name, as for what was begun before it was written down whose it is: so faults can tell the two.
func (c *customer) resume(orderID string) {
	c.t.Helper()
	c.Exec(c.t, "UPDATE orders.cleave_saga SET fence = fence + 1, due = now(), origin = NULL WHERE id = $1 AND due IS NOT NULL", orderID)
}

// ends waits until an order has settled, and requires how, and that stock and money are as they then have to be.
func (c *customer) ends(orderID string, want ordersv1.OrderState, reason string) {
	c.t.Helper()
	seen := c.watch(orderID, 0)
	for i, transition := range seen {
		if i > 0 && transition.GetSequence() <= seen[i-1].GetSequence() {
			c.t.Errorf("transition %d has the sequence %d", i+1, transition.GetSequence())
		}
		if i > 0 && !orders.Legal(seen[i-1].GetState(), transition.GetState()) {
			c.t.Errorf("%s → %s is not legal", seen[i-1].GetState(), transition.GetState())
		}
	}
	order := c.get(orderID)
	if order.GetState() != want || order.GetReason() != reason || order.GetSequence() < int64(len(seen)) {
		c.t.Errorf("the order is %s because of %q after %v, want %s because of %q", order.GetState(), order.GetReason(), seen, want, reason)
	}
	c.settled(orderID)
	if problem := c.fact(orderID).GetLogProblem(); problem != "" {
		c.t.Errorf("the log of the order: %s", problem)
	}
}

// told returns the types of the events of an order, in the order in which they were published.
func (c *customer) told(orderID string) string {
	c.t.Helper()
	return strings.Join(moduletest.Query[string](c.t, c.House, "SELECT type FROM orders.cleave_event WHERE subject = $1 ORDER BY sequence", orderID), " ")
}

// fact returns what the module tells the operator of an order.
func (c *customer) fact(orderID string) *ordersv1.OrderFact {
	c.t.Helper()
	stream, err := ordersv1cleave.NewFactServiceClient(c.Caller("operator", ordersv1cleave.FactService)).StreamOrderFacts(c.ctx, &ordersv1.StreamOrderFactsRequest{})
	if err != nil {
		c.t.Fatal(err)
	}
	defer stream.Close()
	for stream.Receive() {
		for _, fact := range stream.Msg().GetFacts() {
			if fact.GetId() == orderID {
				return fact
			}
		}
	}
	c.t.Fatalf("no fact tells of order %s: %v", orderID, stream.Err())
	return nil
}

// settled requires that stock and money are as they have to be when an order has settled in its state.
func (c *customer) settled(orderID string) {
	c.t.Helper()
	wantCharged, wantSold, wantClaims := int64(0), int64(0), "[]"
	if c.get(orderID).GetState() == ordersv1.OrderState_ORDER_STATE_CONFIRMED {
		wantCharged, wantSold, wantClaims = quantity*c.price, quantity, "[committed]"
	}
	if got := c.payments.account(orderID); got.charged != wantCharged || got.setAside != 0 || got.payments > 1 {
		c.t.Errorf("%d are charged and %d set aside by %d payments, want %d, 0, at most 1", got.charged, got.setAside, got.payments, wantCharged)
	}
	claims := fmt.Sprint(moduletest.Query[string](c.t, c.House,
		"SELECT state FROM inventory.reservation WHERE reference = $1 AND state IN ('held', 'committed', 'shipped')", orderID))
	sold := pieces - moduletest.Value[int64](c.t, c.House, "SELECT on_hand - reserved FROM inventory.stock WHERE sku = $1", c.sku)
	if claims != wantClaims || sold != wantSold {
		c.t.Errorf("%d pieces are sold by reservations that are %s, want %d and %s", sold, claims, wantSold, wantClaims)
	}
}

// refused requires that an error has a code and a reason.
func refused(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	if connect.CodeOf(err) != code || rpc.Reason(err) != reason {
		t.Errorf("%v, want %s because of %q", err, code, reason)
	}
}
