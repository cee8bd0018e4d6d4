package chaos

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/test/house"
)

const (
	// customers is how many shop at once.
	customers = 12
	// callPatience bounds how long a call is repeated. It outlasts the pause of any process by far.
	callPatience = time.Minute
	// stayPatience bounds how long a customer watches an order.
	stayPatience = 3 * time.Second
)

// crowd is the customers of a run. What they are told they write down.
type crowd struct {
	*house.Customer
	t       *testing.T
	seed    uint64
	shelf   shelf
	methods []string

	tried, answered atomic.Int64 // Calls.

	mu   sync.Mutex
	book map[string]purchase // by order: each that was acknowledged
}

// purchase is what a customer knows of an order.
type purchase struct {
	wish
	cancelled bool
	// What became of its pieces, by SKU: shipped, of those come back, and not sent.
	shipped, back, dropped map[string]int64
	told                   time.Time // When it was acknowledged, or what was done with it last.
}

// shop makes one checkout per number, several at a time, until there are no more numbers. It sends on done after each. When the context
// ends it only counts.
func (c *crowd) shop(ctx context.Context, numbers <-chan int, done chan<- struct{}) {
	var working sync.WaitGroup
	for range customers {
		working.Go(func() {
			for number := range numbers {
				if err := c.checkout(ctx, newWish(c.seed, number, c.shelf, c.methods)); err != nil && ctx.Err() == nil {
					c.t.Errorf("checkout %d: %v", number, err)
				}
				done <- struct{}{}
			}
		})
	}
	working.Wait()
}

// checkout fills a cart, orders it, and perhaps changes its mind, or has the shop send it.
func (c *crowd) checkout(shop context.Context, w wish) error {
	ctx := shop
	if w.guest {
		ctx = asGuest(shop)
	}
	created, err := insist(ctx, c, c.Carts.CreateCart, &ordersv1.CreateCartRequest{RequestId: id.New("rq")})
	if err != nil {
		return fmt.Errorf("create a cart: %w", err)
	}
	cartID := created.GetCart().GetId()
	for sku, quantity := range w.lines {
		r := &ordersv1.SetCartItemRequest{RequestId: id.New("rq"), CartId: cartID, Sku: sku, Quantity: quantity}
		if _, err := insist(ctx, c, c.Carts.SetCartItem, r); err != nil {
			return fmt.Errorf("fill the cart: %w", err)
		}
	}
	orderID, err := c.order(ctx, shop, &w, cartID)
	if err != nil {
		return err
	}
	if w.stays {
		c.watch(ctx, orderID)
	}
	if w.cancels {
		select {
		case <-time.After(w.after):
		case <-ctx.Done():
		}
		return c.cancel(ctx, orderID, w)
	}
	if w.handling != leftAlone {
		return c.handle(ctx, shop, orderID, w)
	}
	return nil
}

// maxQuotes is how many quotes a customer asks for who is told that one does not hold any more.
const maxQuotes = 10

// order asks for a quote of a cart and orders it. When a price is not the price any more, or the last coupon is gone, it asks again.
func (c *crowd) order(ctx, shop context.Context, w *wish, cartID string) (orderID string, err error) {
	for range maxQuotes {
		r := &ordersv1.CreateQuoteRequest{RequestId: id.New("rq"), CartId: cartID}
		if w.coupon {
			r.CouponCode = couponCode
		}
		var quoted *ordersv1.CreateQuoteResponse
		if quoted, err = insist(ctx, c, c.Carts.CreateQuote, r); err == nil {
			if w.reprices {
				w.reprices = false
				if err := c.reprice(shop, quoted.GetQuote().GetLines()[0]); err != nil {
					return "", err
				}
			}
			if orderID, err = c.place(ctx, *w, quoted.GetQuote().GetId()); err == nil {
				return orderID, nil
			}
		}
		switch rpc.Reason(err) {
		case "COUPON_USED_UP":
			w.coupon = false
		case "PRICE_CHANGED":
		default:
			return "", fmt.Errorf("order the cart: %w", err)
		}
	}
	return "", fmt.Errorf("order the cart, %d times: %w", maxQuotes, err)
}

// reprice makes something a cent dearer.
func (c *crowd) reprice(ctx context.Context, line *ordersv1.OrderLine) error {
	price := &typev1.Money{Amount: line.GetUnitPrice().GetAmount() + 1, Currency: line.GetUnitPrice().GetCurrency()}
	if _, err := insist(ctx, c, c.Staff.Catalog.BatchUpsertProducts, &catalogv1.BatchUpsertProductsRequest{
		RequestId: id.New("rq"), Products: []*catalogv1.UpsertProduct{offer(line.GetSku(), price)},
	}); err != nil {
		return fmt.Errorf("change a price: %w", err)
	}
	return nil
}

// asGuest returns a context whose calls are those of somebody new without an account.
func asGuest(ctx context.Context) context.Context {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // It never fails.
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer guest_"+base64.RawURLEncoding.EncodeToString(secret))
	return ctx
}

// place orders a quote and writes the order down.
func (c *crowd) place(ctx context.Context, w wish, quoteID string) (string, error) {
	r := &ordersv1.PlaceOrderRequest{RequestId: id.New("rq"), QuoteId: quoteID, PaymentMethod: w.method}
	if w.guest {
		r.Email = "guest@example.org"
	}
	placed, err := insist(ctx, c, c.Orders.PlaceOrder, r)
	if err != nil {
		return "", err
	}
	orderID := placed.GetOrder().GetId()
	if err := c.note(orderID, w); err != nil {
		return "", err
	}
	if w.repeats {
		again, err := insist(ctx, c, c.Orders.PlaceOrder, r)
		if err != nil {
			return "", fmt.Errorf("again: %w", err)
		}
		if !proto.Equal(again, placed) {
			return "", fmt.Errorf("one request was answered with %v and then with %v", placed, again)
		}
	}
	return orderID, nil
}

// note writes an order down.
func (c *crowd) note(orderID string, w wish) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, twice := c.book[orderID]; twice {
		return fmt.Errorf("order %s was the answer to another request before", orderID)
	}
	c.book[orderID] = purchase{wish: w, shipped: map[string]int64{}, back: map[string]int64{}, dropped: map[string]int64{}, told: time.Now()}
	return nil
}

// cancel takes an order back, unless its card has been declined meanwhile.
func (c *crowd) cancel(ctx context.Context, orderID string, w wish) error {
	_, err := insist(ctx, c, c.Orders.CancelOrder, &ordersv1.CancelOrderRequest{RequestId: id.New("rq"), Id: orderID})
	if declines[w.method] && rpc.Reason(err) == "ORDER_STATE" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cancel order %s: %w", orderID, err)
	}
	c.change(orderID, func(p *purchase) { p.cancelled = true })
	return nil
}

// change writes down what was done with an order.
func (c *crowd) change(orderID string, do func(p *purchase)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.book[orderID]
	do(&p)
	p.told = time.Now()
	c.book[orderID] = p
}

// watch watches an order until it settles, the customer has enough, or something on the way is killed.
func (c *crowd) watch(ctx context.Context, orderID string) {
	ctx, cancel := context.WithTimeout(ctx, stayPatience)
	defer cancel()
	stream, err := c.Orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: orderID})
	if err != nil {
		return
	}
	for stream.Receive() {
	}
	_ = stream.Close() // Whether it has ended or was cut short.
}

// insist makes a call until it is answered, by the same request, so that it is one however often it is made.
func insist[Q, A any](ctx context.Context, c *crowd, call func(context.Context, *Q) (*A, error), r *Q) (*A, error) {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	defer c.answered.Add(1)
	return house.Insist(ctx, func(ctx context.Context, r *Q) (*A, error) {
		c.tried.Add(1)
		return call(ctx, r)
	}, r)
}
