package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/internal/customer"
)

const (
	// callTimeout bounds a call, as the public port does.
	callTimeout = 30 * time.Second
	// settleTimeout bounds how long an order is watched.
	settleTimeout = time.Minute
	// pageSize is that of the first page.
	pageSize = 20
	// mostItems is how many items a checkout has at most; it has at least one.
	mostItems = 4
	// paymentMethod is one that the sandbox approves.
	paymentMethod = "pm_card_visa"
)

// crowd is everybody who visits the shop.
type crowd struct {
	*customer.Customer
	record   *record
	products []string // Their ids.
	skus     []string // That can be had.
	carts    chan cart
	flash    *flash // Nil but for that profile.
}

// cart is one that has been left for the next who comes to add or to view.
type cart struct {
	id    string
	items int
}

// visit does an errand. The customer was to arrive at the given time.
func (c *crowd) visit(ctx context.Context, e errand, arrived time.Time, random *rand.Rand) {
	d := &due{arrived}
	ctx = context.WithValue(ctx, dueKey{}, d)
	err := c.do(ctx, e, d, random)
	c.record.leave(e, time.Since(arrived), err)
}

func (c *crowd) do(ctx context.Context, e errand, d *due, random *rand.Rand) error {
	switch e {
	case index:
		return short(ctx, func(ctx context.Context) error {
			_, err := c.Catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: pageSize})
			return err
		})
	case browse:
		return short(ctx, func(ctx context.Context) error {
			_, err := c.Catalog.GetProduct(ctx, &catalogv1.GetProductRequest{Id: c.products[random.IntN(len(c.products))]})
			return err
		})
	case add:
		return c.withCart(ctx, func(ctx context.Context, in *cart) error {
			in.items++
			return c.Put(ctx, in.id, c.item(random))
		})
	case view:
		return c.withCart(ctx, func(ctx context.Context, in *cart) error {
			_, err := c.Carts.GetCart(ctx, &ordersv1.GetCartRequest{Id: in.id})
			return err
		})
	case rush:
		return c.flash.rush(ctx, c, d)
	default:
		items := make([]customer.Item, 1+random.IntN(mostItems))
		for i := range items { // Now and then the same SKU twice, which the cart has once.
			items[i] = c.item(random)
		}
		_, err := c.checkout(ctx, d, items...)
		return err
	}
}

// item returns a piece of something.
func (c *crowd) item(random *rand.Rand) customer.Item {
	return customer.Item{SKU: c.skus[random.IntN(len(c.skus))], Pieces: 1}
}

// withCart does something with a cart that somebody has left, or a new one, and leaves it for the next unless it is full.
func (c *crowd) withCart(ctx context.Context, do func(ctx context.Context, in *cart) error) error {
	var in cart
	select {
	case in = <-c.carts:
	default:
		if err := short(ctx, func(ctx context.Context) (err error) {
			in.id, err = c.Fill(ctx)
			return err
		}); err != nil {
			return err
		}
	}
	err := short(ctx, func(ctx context.Context) error { return do(ctx, &in) })
	if err == nil && in.items < mostItems {
		select {
		case c.carts <- in:
		default: // There are enough.
		}
	}
	return err
}

// purchase is how far a checkout has got.
type purchase struct {
	// asked says that the order was to be placed. If there is no id then nobody knows whether it was.
	asked   bool
	orderID string
	settled *ordersv1.Order // Nil if nobody knows what became of it.
}

// checkout buys, and watches the order until it has settled.
func (c *crowd) checkout(ctx context.Context, d *due, items ...customer.Item) (p purchase, err error) {
	var cartID string
	if err := short(ctx, func(ctx context.Context) (err error) {
		cartID, err = c.Fill(ctx, items...)
		return err
	}); err != nil {
		return p, err
	}
	var quote *ordersv1.Quote
	if err := short(ctx, func(ctx context.Context) (err error) {
		quote, err = c.Quote(ctx, cartID)
		return err
	}); err != nil {
		return p, err
	}
	began := d.at
	p.asked = true
	if err := short(ctx, func(ctx context.Context) error {
		order, err := c.Place(ctx, quote.GetId(), paymentMethod)
		p.orderID = order.GetId()
		return err
	}); err != nil {
		return p, err
	}
	watching, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	p.settled, err = c.Watch(watching, p.orderID, 0, nil)
	c.record.order(outcome(p.settled), time.Since(began), err)
	return p, err
}

// outcome returns what became of an order, in words that are few.
func outcome(order *ordersv1.Order) string {
	state := strings.ToLower(strings.TrimPrefix(order.GetState().String(), "ORDER_STATE_"))
	return strings.TrimSpace(state + " " + order.GetReason())
}

// short bounds a call or a few.
func short(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return call(ctx)
}

// mostProducts bounds the catalogue that visitors look at.
const mostProducts = 1000

// look reads the catalogue: what there is, and what of it can be had.
func (c *crowd) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	question := &catalogv1.ListProductsRequest{PageSize: 100}
	for len(c.products) < mostProducts {
		page, err := c.Catalog.ListProducts(ctx, question)
		if err != nil {
			return fmt.Errorf("read the catalogue: %w", err)
		}
		var skus []string
		for _, p := range page.GetProducts() {
			c.products = append(c.products, p.GetId())
			for _, v := range p.GetVariants() {
				skus = append(skus, v.GetSku())
			}
		}
		if err := c.stocked(ctx, skus); err != nil {
			return err
		}
		if question.PageToken = page.GetNextPageToken(); question.PageToken == "" {
			break
		}
	}
	if len(c.skus) == 0 {
		return fmt.Errorf("the shop has %d products and nothing in stock: write the demo catalogue with cleave seed", len(c.products))
	}
	return nil
}

// stocked adds those of the SKUs that can be had.
func (c *crowd) stocked(ctx context.Context, skus []string) error {
	for len(skus) > 0 {
		part := skus[:min(len(skus), 100)]
		skus = skus[len(part):]
		answer, err := c.Inventory.BatchGetAvailability(ctx, &inventoryv1.BatchGetAvailabilityRequest{Skus: part})
		if err != nil {
			return fmt.Errorf("read the stock: %w", err)
		}
		for _, a := range answer.GetAvailabilities() {
			if a.GetAvailable() > 0 {
				c.skus = append(c.skus, a.GetSku())
			}
		}
	}
	return nil
}
