package test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// TestOverload holds that those who want to pay are served while there are more who look around than the machine can serve.
func TestOverload(t *testing.T) {
	shop := house.AllInOne.Open(t, topology.NewBinaries(t), house.Options{Env: map[string]string{"CLEAVE_BUSY_AT": "16", "CLEAVE_RATE_LIMIT": "0"}})
	buyer := enter(t, shop, connectRPC)
	sku := buyer.product(1990, 100)
	quotes := make([]*ordersv1.Quote, 20)
	for i := range quotes {
		quotes[i] = buyer.quote(buyer.cart(item{sku, 1}))
	}

	ctx, stop := context.WithCancel(t.Context())
	var served, refused atomic.Int64
	var visitors sync.WaitGroup
	defer visitors.Wait()
	defer stop()
	for range 64 {
		visitors.Go(func() {
			for ctx.Err() == nil {
				_, err := buyer.catalog.ListProducts(ctx, &catalogv1.ListProductsRequest{PageSize: 100})
				switch {
				case err == nil:
					served.Add(1)
				case connect.CodeOf(err) == connect.CodeResourceExhausted:
					refused.Add(1)
				case ctx.Err() == nil:
					t.Errorf("somebody who looks around: %v", err)
					return
				}
			}
		})
	}
	for _, quote := range quotes {
		buyer.settled(buyer.place(quote.GetId(), "pm_card_visa").GetId(), confirmed, "")
	}
	if served.Load() == 0 || refused.Load() == 0 {
		t.Errorf("of those who look around %d were served and %d refused, want some of both", served.Load(), refused.Load())
	}
	if scraped(t, shop.Unit("all"), "cleave_edge_refused_total", "shed") == 0 {
		t.Error("what was refused is not counted")
	}
}

// scraped returns a metric of a unit, of all series that have some labels.
func scraped(t *testing.T, unit *topology.Running, name string, labels ...string) float64 {
	t.Helper()
	families, _ := scrape(t, unit)
	sum, _ := value(families[name], labels...)
	return sum
}
