package main

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"

	"github.com/cleave-go/cleave/cmd/internal/demo"
	"github.com/cleave-go/cleave/platform/id"
)

// load is many customers at once. None of their calls may fail.
type load struct {
	t       *testing.T
	shopper *demo.Shopper
	over    atomic.Bool
	calls   atomic.Int64
	working sync.WaitGroup

	mu       sync.Mutex
	accepted []string // The orders.
}

func newLoad(t *testing.T, shopper *demo.Shopper) *load { return &load{t: t, shopper: shopper} }

// begin starts customers.
func (l *load) begin(customers int) {
	for range customers {
		l.working.Go(func() {
			for !l.over.Load() {
				if err := l.once(l.t.Context()); err != nil {
					l.t.Errorf("a call failed: %v", err)
					return
				}
			}
		})
	}
}

// end lets each customer finish the call at hand, and waits for that.
func (l *load) end() {
	l.over.Store(true)
	l.working.Wait()
}

// await waits until so many calls have been answered.
func (l *load) await(t *testing.T, calls int64) {
	t.Helper()
	for began := time.Now(); l.calls.Load() < calls; time.Sleep(time.Millisecond) {
		if t.Failed() || time.Since(began) > patience {
			l.end()
			t.Fatalf("%d calls in %v", l.calls.Load(), time.Since(began))
		}
	}
}

// once buys a piece, one call after the other for as long as the load is not over.
func (l *load) once(ctx context.Context) error {
	var quoteID, cartID string
	for _, call := range []func() error{
		func() error {
			_, err := l.shopper.Catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: 20})
			return err
		},
		func() error {
			answer, err := l.shopper.Carts.CreateCart(ctx, &ordersv1.CreateCartRequest{RequestId: id.New("rq")})
			cartID = answer.GetCart().GetId()
			return err
		},
		func() error {
			_, err := l.shopper.Carts.SetCartItem(ctx, &ordersv1.SetCartItemRequest{RequestId: id.New("rq"), CartId: cartID, Sku: sku, Quantity: 1})
			return err
		},
		func() error {
			answer, err := l.shopper.Carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: id.New("rq"), CartId: cartID})
			quoteID = answer.GetQuote().GetId()
			return err
		},
		func() error {
			answer, err := l.shopper.Orders.PlaceOrder(ctx, &ordersv1.PlaceOrderRequest{RequestId: id.New("rq"), QuoteId: quoteID, PaymentMethod: "pm_card_visa"})
			if err == nil {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.accepted = append(l.accepted, answer.GetOrder().GetId())
			}
			return err
		},
	} {
		if l.over.Load() {
			return nil
		}
		if err := call(); err != nil {
			return err
		}
		l.calls.Add(1)
	}
	return nil
}
