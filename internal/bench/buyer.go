package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/internal/customer"
)

const (
	// buyers is how many customers buy at the same time, each one thing after the other.
	buyers = 8
	// mostItems is how many SKUs an order has at the most; it has at least one.
	mostItems = 4
	// buyTimeout bounds a cart, and an order.
	buyTimeout = 30 * time.Second
	// cartsPerSecond is how many carts are filled for each second of orders. It is more than are ordered.
	cartsPerSecond = 250
)

// purchase is an order that was confirmed.
type purchase struct{ placed, confirmed time.Time }

// buyer is a customer with a connection of HTTP/1.1, who speaks Connect with binary messages.
type buyer struct {
	*customer.Customer
	skus   []string
	random *rand.Rand
}

// customers are so many at a time, each one doing one thing after the other, and random in a way that the seed repeats.
type customers struct {
	url    string
	skus   []string
	number int
	seed   uint64
}

// each lets every customer do the same, until all are done or one fails.
func (c customers) each(ctx context.Context, do func(ctx context.Context, number int, b *buyer) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range c.number {
		transport := &http.Transport{}
		client := &http.Client{Transport: transport}
		b := &buyer{
			Customer: customer.New(client, c.url), skus: c.skus, random: rand.New(rand.NewPCG(c.seed, uint64(i))),
		}
		group.Go(func() error {
			defer transport.CloseIdleConnections()
			return do(ctx, i, b)
		})
	}
	return group.Wait()
}

// fill makes carts until the channel holds as many as it can.
func (c customers) fill(ctx context.Context, carts chan string) error {
	missing := cap(carts) - len(carts)
	return c.each(ctx, func(ctx context.Context, number int, b *buyer) error {
		for range (missing + number) / c.number { // Together that is what is missing.
			cart, err := b.fill(ctx)
			if err != nil {
				return fmt.Errorf("fill carts: %w", err)
			}
			carts <- cart
		}
		return nil
	})
}

// buy lets the customers order the carts until the given time, or without carts fill their own each time; what they have begun they
// finish. It fails if an order is not confirmed, and if the carts run out.
func (c customers) buy(ctx context.Context, carts <-chan string, until time.Time) ([]purchase, error) {
	bought := make([][]purchase, c.number)
	err := c.each(ctx, func(ctx context.Context, number int, b *buyer) error {
		for time.Now().Before(until) {
			cart, err := b.cart(ctx, carts)
			if err != nil {
				return fmt.Errorf("buy: %w", err)
			}
			p, err := b.order(ctx, cart)
			if err != nil {
				return fmt.Errorf("buy: %w", err)
			}
			bought[number] = append(bought[number], p)
		}
		return nil
	})
	return slices.Concat(bought...), err
}

// cart takes one of the carts, or fills one if there is no such supply.
func (b *buyer) cart(ctx context.Context, carts <-chan string) (string, error) {
	if carts == nil {
		return b.fill(ctx)
	}
	select {
	case cart := <-carts:
		return cart, nil
	default:
		return "", fmt.Errorf("all carts are ordered: this machine orders more than the %d in a second that were filled for it; raise cartsPerSecond", cartsPerSecond)
	}
}

// fill makes a cart with one to four things in it.
func (b *buyer) fill(ctx context.Context) (cartID string, err error) {
	ctx, cancel := context.WithTimeout(ctx, buyTimeout)
	defer cancel()
	var items []customer.Item
	for range 1 + b.random.IntN(mostItems) { // Now and then the same SKU twice, which the cart has once.
		items = append(items, customer.Item{SKU: b.skus[b.random.IntN(len(b.skus))], Pieces: 1 + b.random.Int64N(3)})
	}
	return b.Fill(ctx, items...)
}

// order has a cart quoted, orders it, and watches until the order is confirmed.
func (b *buyer) order(ctx context.Context, cartID string) (p purchase, err error) {
	ctx, cancel := context.WithTimeout(ctx, buyTimeout)
	defer cancel()
	quote, err := b.Quote(ctx, cartID)
	if err != nil {
		return p, err
	}
	p.placed = time.Now()
	placed, err := b.Place(ctx, quote.GetId(), "pm_card_visa")
	if err != nil {
		return p, err
	}
	p.confirmed, err = b.watch(ctx, placed.GetId())
	return p, err
}

// watch returns when an order was confirmed.
func (b *buyer) watch(ctx context.Context, orderID string) (time.Time, error) {
	var last ordersv1.OrderState
	var seen time.Time
	if _, err := b.Watch(ctx, orderID, 0, func(t *ordersv1.OrderTransition) { last, seen = t.GetState(), time.Now() }); err != nil {
		return time.Time{}, err
	}
	if last != ordersv1.OrderState_ORDER_STATE_CONFIRMED {
		return time.Time{}, fmt.Errorf("order %s ended as %s", orderID, last)
	}
	return seen, nil
}
