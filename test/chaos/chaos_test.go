package chaos

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

const (
	// terminalWithin is how soon after the last kill every order has ended.
	terminalWithin = 30 * time.Second
	// A run may take so long for each checkout and each kill. It takes a tenth of that on an idle machine.
	checkoutPatience, killPatience = 300 * time.Millisecond, 15 * time.Second
)

// provider is what the plan calls the payment provider's process.
const provider = "provider"

// TestChaos is the run: up, load, chaos, verify.
func TestChaos(t *testing.T) {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	r := &run{
		House: house.AllApart.Open(t, topology.NewBinaries(t), house.Options{Provider: true}),
		seed:  s, checkouts: *checkouts, rounds: plan(s, *checkouts, *kills, append(slices.Clone(house.Modules), "edge", provider)),
	}
	r.play(t)
}

// run is one run.
type run struct {
	*house.House
	seed      uint64
	checkouts int
	rounds    []round

	finished int // Checkouts.
	lastKill time.Time
	killed   map[string]int
}

// play lets customers shop while the rounds come about, and looks into everything afterwards.
func (r *run) play(t *testing.T) {
	t.Logf("seed %d", r.seed)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(r.checkouts)*checkoutPatience+time.Duration(len(r.rounds))*killPatience)
	defer cancel()
	shelf := newShelf(r.checkouts)
	customer := r.Customer(t)
	fill(ctx, t, customer, shelf)
	crowd := newCrowd(t, customer, filepath.Join(t.TempDir(), "acknowledged"), r.seed, shelf)

	began := time.Now()
	r.chaos(ctx, t, crowd)
	took := time.Since(began)

	quiet := crowd.last
	if r.lastKill.After(quiet) {
		quiet = r.lastKill
	}
	time.Sleep(25 * time.Second)
	s := crowd.audit(ctx, t, r.House, quiet)
	t.Logf("%d checkouts in %v, %.1f a second; %d calls, %d of them repetitions\nends: %s\nkills: %s\nthe last order ended %v after the last kill and the last answer",
		r.checkouts, took.Round(time.Millisecond), float64(r.checkouts)/took.Seconds(), crowd.tried.Load(), crowd.tried.Load()-crowd.answered.Load(),
		counted(s.states), counted(r.killed), s.slowest.Round(time.Millisecond))
}

// chaos plays the rounds while the customers shop, and returns when both are done. The two keep step: a round waits until its moment
// has come, and customers get no further than the end of the next round's share.
func (r *run) chaos(ctx context.Context, t *testing.T, c *crowd) {
	numbers, done, over := make(chan int, r.checkouts), make(chan struct{}, r.checkouts), make(chan struct{})
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
	r.killed = map[string]int{}
	for i, round := range r.rounds {
		give(r.checkouts * min(i+2, len(r.rounds)) / len(r.rounds))
		for ; r.finished < round.at; r.finished++ {
			select {
			case <-done:
			case <-ctx.Done():
				t.Errorf("customers have done %d checkouts when time is up", r.finished)
				close(numbers)
				<-over
				return
			}
		}
		r.kill(t, round)
	}
	give(r.checkouts)
	close(numbers)
	<-over // Each of their calls is bounded.
}

// kill plays a round.
func (r *run) kill(t *testing.T, round round) {
	t.Helper()
	t.Logf("%s kill %v", time.Now().UTC().Format("15:04:05.000"), round)
	for _, name := range round.names {
		if name == provider {
			r.KillProvider()
		} else {
			r.Unit(name).Kill()
		}
		r.killed[name]++
	}
	r.lastKill = time.Now()
	time.Sleep(round.pause)
	for _, name := range round.names {
		if name == provider {
			r.RestartProvider(t)
		} else {
			r.Unit(name).Restart(t)
		}
	}
}

// fill fills the shelf.
func fill(ctx context.Context, t *testing.T, customer *house.Customer, s shelf) {
	t.Helper()
	products := &catalogv1.BatchUpsertProductsRequest{RequestId: id.New("rq")}
	pieces := &inventoryv1.AdjustStockRequest{RequestId: id.New("rq")}
	for i, sku := range s.skus() {
		products.Products = append(products.Products, &catalogv1.UpsertProduct{
			Title: strings.ToLower(sku), Category: "chaos", State: catalogv1.ProductState_PRODUCT_STATE_PUBLISHED,
			Variants: []*catalogv1.UpsertVariant{{Sku: sku, Price: &typev1.Money{Amount: int64(1000 + 10*i), Currency: "EUR"}}},
		})
		pieces.Adjustments = append(pieces.Adjustments, &inventoryv1.StockAdjustment{Sku: sku, Delta: s.pieces(sku)})
	}
	if _, err := house.Insist(ctx, customer.Staff.Catalog.BatchUpsertProducts, products); err != nil {
		t.Fatalf("offer products: %v", err)
	}
	if _, err := house.Insist(ctx, customer.Staff.Inventory.AdjustStock, pieces); err != nil {
		t.Fatalf("add stock: %v", err)
	}
}
