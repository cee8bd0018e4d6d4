package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/topology"
)

const (
	// terminalWithin is how soon after the last kill every order has ended.
	terminalWithin = 30 * time.Second
	// each bounds what a checkout takes of a run, and a kill.
	checkoutPatience, killPatience = 500 * time.Millisecond, 10 * time.Second
)

// TestChaos is the run: up, load, chaos, verify.
func TestChaos(t *testing.T) {
	binaries := topology.NewBinaries(t)
	r := &run{shop: open(t, binaries), seed: *seed, checkouts: *checkouts}
	if r.seed == 0 {
		r.seed = rand.Uint64()
	}
	names := append(slices.Clone(modules), "edge", "provider")
	r.play(t, plan(r.seed, r.checkouts, *kills, names))
}

// run is one run.
type run struct {
	*shop
	seed      uint64
	checkouts int
}

// play lets customers shop while the rounds come about, and looks into everything afterwards.
func (r *run) play(t *testing.T, rounds []round) {
	t.Logf("seed %d", r.seed)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(r.checkouts)*checkoutPatience+time.Duration(len(rounds))*killPatience)
	defer cancel()
	shelf := newShelf(r.checkouts)
	stock(ctx, t, r.shop, shelf)
	acknowledged := filepath.Join(t.TempDir(), "acknowledged")
	crowd := newCrowd(t, r.Public(), acknowledged, r.seed, shelf)

	began := time.Now()
	lastKill, perProcess := r.chaos(ctx, t, crowd, rounds)
	took := time.Since(began)

	quiet := crowd.last
	if lastKill.After(quiet) {
		quiet = lastKill
	}
	time.Sleep(25 * time.Second)
	s := crowd.audit(ctx, t, r.Unit("orders").Admin()+"/modules/orders", r.Unit("inventory").Admin()+"/modules/inventory", quiet)
	t.Logf("%d checkouts in %v, %.1f a second, %d retries\nends: %s\nkills: %s\nthe last order ended %v after the quiet",
		r.checkouts, took.Round(time.Millisecond), float64(r.checkouts)/took.Seconds(), crowd.retries.Load(),
		counted(s.states), counted(perProcess), s.slowest.Round(time.Millisecond))
}

// chaos plays the rounds while the customers shop, and returns when both are done: when the last kill was, and how many there were of
// each process. The two keep step: a round waits until its moment has come, and customers get no further ahead than the next round.
func (r *run) chaos(ctx context.Context, t *testing.T, c *crowd, rounds []round) (last time.Time, perProcess map[string]int) {
	numbers, done := make(chan int, r.checkouts), make(chan struct{}, r.checkouts)
	over := make(chan struct{})
	go func() {
		defer close(over)
		c.shop(ctx, numbers, done)
	}()
	given := 0
	give := func(until int) {
		for ; given < until; given++ {
			numbers <- given
		}
	}
	finished := 0
	perProcess = map[string]int{}
	for i, round := range rounds {
		give(r.checkouts * min(i+2, len(rounds)) / len(rounds))
		for ; finished < round.at; finished++ {
			select {
			case <-done:
			case <-ctx.Done():
				t.Fatalf("the customers got stuck after %d checkouts", finished)
			}
		}
		t.Logf("%s kill %v", time.Now().UTC().Format("15:04:05.000"), round)
		for _, name := range round.names {
			r.kill(name)
			perProcess[name]++
		}
		last = time.Now()
		time.Sleep(round.pause)
		for _, name := range round.names {
			r.restart(t, name)
		}
	}
	give(r.checkouts)
	close(numbers)
	select {
	case <-over:
	case <-ctx.Done():
		<-over
		t.Error("the customers did not get done")
	}
	return last, perProcess
}

// stock fills the shelf.
func stock(ctx context.Context, t *testing.T, s *shop, shelf shelf) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	products := &catalogv1.BatchUpsertProductsRequest{RequestId: id.New("rq")}
	pieces := &inventoryv1.AdjustStockRequest{RequestId: id.New("rq")}
	for i, sku := range append(slices.Clone(shelf.plain), shelf.hot) {
		products.Products = append(products.Products, &catalogv1.UpsertProduct{
			Title: sku, Category: "chaos", State: catalogv1.ProductState_PRODUCT_STATE_PUBLISHED,
			Variants: []*catalogv1.UpsertVariant{{Sku: sku, Price: &typev1.Money{Amount: int64(1000 + 10*i), Currency: "EUR"}}},
		})
		pieces.Adjustments = append(pieces.Adjustments, &inventoryv1.StockAdjustment{Sku: sku, Delta: shelf.pieces(sku)})
	}
	if _, err := catalogv1connect.NewCatalogServiceClient(client, s.Internal("catalog")).BatchUpsertProducts(ctx, products); err != nil {
		t.Fatalf("offer products: %v", err)
	}
	if _, err := inventoryv1connect.NewInventoryServiceClient(client, s.Internal("inventory")).AdjustStock(ctx, pieces); err != nil {
		t.Fatalf("add stock: %v", err)
	}
}

var _ = fmt.Sprint
var _ = os.Args
var _ = strings.Join
