package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/platform/id"
)

const (
	// buyers is how many customers buy at the same time, each one thing after the other.
	buyers = 8
	// mostItems is how many SKUs an order has at the most; it has at least one.
	mostItems = 4
	// checkoutTimeout bounds one order, from the empty cart on.
	checkoutTimeout = 30 * time.Second
)

// purchase is an order that was confirmed.
type purchase struct{ placed, confirmed time.Time }

// buyer is a customer with a connection of HTTP/1.1, who speaks Connect with binary messages.
type buyer struct {
	carts  ordersv1connect.CartServiceClient
	orders ordersv1connect.OrderServiceClient
	skus   []string
	random *rand.Rand
}

// buy lets so many customers buy until the given time; what they have begun they finish. It fails if an order is not confirmed.
func buy(ctx context.Context, url string, skus []string, buyers int, seed uint64, until time.Time) ([]purchase, error) {
	group, ctx := errgroup.WithContext(ctx)
	bought := make([][]purchase, buyers)
	for i := range buyers {
		transport := &http.Transport{}
		client := &http.Client{Transport: transport}
		b := &buyer{
			carts: ordersv1connect.NewCartServiceClient(client, url), orders: ordersv1connect.NewOrderServiceClient(client, url),
			skus: skus, random: rand.New(rand.NewPCG(seed, uint64(i))),
		}
		group.Go(func() error {
			defer transport.CloseIdleConnections()
			for time.Now().Before(until) {
				p, err := b.checkout(ctx)
				if err != nil {
					return fmt.Errorf("buy: %w", err)
				}
				bought[i] = append(bought[i], p)
			}
			return nil
		})
	}
	err := group.Wait()
	var all []purchase
	for _, list := range bought {
		all = append(all, list...)
	}
	return all, err
}

// checkout buys one to four things.
func (b *buyer) checkout(ctx context.Context) (p purchase, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkoutTimeout)
	defer cancel()
	cart, err := b.carts.CreateCart(ctx, &ordersv1.CreateCartRequest{RequestId: id.New("rq")})
	if err != nil {
		return p, fmt.Errorf("create cart: %w", err)
	}
	cartID := cart.GetCart().GetId()
	for range 1 + b.random.IntN(mostItems) { // Now and then the same SKU twice, which the cart has once.
		if _, err := b.carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{
			RequestId: id.New("rq"), CartId: cartID, Sku: b.skus[b.random.IntN(len(b.skus))], Quantity: 1 + b.random.Int64N(3),
		}); err != nil {
			return p, fmt.Errorf("fill cart: %w", err)
		}
	}
	quote, err := b.carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: id.New("rq"), CartId: cartID})
	if err != nil {
		return p, fmt.Errorf("quote: %w", err)
	}
	p.placed = time.Now()
	placed, err := b.orders.PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{
		RequestId: id.New("rq"), QuoteId: quote.GetQuote().GetId(), PaymentMethod: "pm_card_visa",
	})
	if err != nil {
		return p, fmt.Errorf("place order: %w", err)
	}
	p.confirmed, err = b.watch(ctx, placed.GetOrder().GetId())
	return p, err
}

// watch returns when an order was confirmed.
func (b *buyer) watch(ctx context.Context, orderID string) (time.Time, error) {
	stream, err := b.orders.WatchOrder(ctx, &ordersv1.WatchOrderRequest{Id: orderID})
	if err != nil {
		return time.Time{}, fmt.Errorf("watch order: %w", err)
	}
	defer stream.Close()
	var last ordersv1.OrderState
	var seen time.Time
	for stream.Receive() {
		last, seen = stream.Msg().GetTransition().GetState(), time.Now()
	}
	if err := stream.Err(); err != nil {
		return time.Time{}, fmt.Errorf("watch order: %w", err)
	}
	if last != ordersv1.OrderState_ORDER_STATE_CONFIRMED {
		return time.Time{}, fmt.Errorf("order %s ended as %s", orderID, last)
	}
	return seen, nil
}
