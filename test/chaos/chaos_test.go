package chaos

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/payments/sandbox"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

const (
	// terminalWithin is how soon after the last kill every order has ended.
	terminalWithin = 30 * time.Second
	// A run may take so long for each checkout and each kill. That is generous, because the machine may run other tests at the same time.
	checkoutPatience, killPatience = 150 * time.Millisecond, 8 * time.Second
)

// provider is what the plan calls the payment provider's process.
const provider = "provider"

func TestChaos(t *testing.T) {
	binaries := topology.NewBinaries(t)
	t.Run("nothing is lost", func(t *testing.T) {
		t.Parallel()
		lossless(t, binaries)
	})
	t.Run("a mistake is found", func(t *testing.T) {
		t.Parallel()
		mistaken(t, binaries)
	})
}

// lossless is the run: up, load, chaos, verify.
func lossless(t *testing.T, binaries *topology.Binaries) {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	r := &run{
		House: house.AllApart.Open(t, binaries, house.Options{Provider: true}),
		seed:  s, checkouts: *checkouts, methods: methods,
		rounds: plan(s, *checkouts, *kills, append(slices.Clone(house.Modules), "edge", provider)),
	}
	c := r.play(t)
	if says, code := r.verify(t, c); code != 0 {
		t.Errorf("cleave verify ended with %d:\n%s", code, says)
	}
	r.audit(t, c)
}

// mistaken holds that a run can fail: where every attempt to charge has a key of its own, a kill between the provider and the store
// charges twice, and cleave verify says so.
func mistaken(t *testing.T, binaries *topology.Binaries) {
	folder := fault.Folder(t.TempDir())
	r := &run{
		House: house.AllInOne.Open(t, binaries, house.Options{
			Provider: true, Tags: []string{fault.Tag}, Env: map[string]string{"CLEAVE_FAULT_DIR": string(folder), "CLEAVE_BUG": "fresh-provider-key"},
		}),
		seed: 1, checkouts: 100, methods: []string{sandbox.MethodVisa}, folder: folder,
		rounds: []round{
			{at: 20, names: []string{provider}}, {at: 40, names: []string{"all"}, place: "payments/authorize/answered"}, {at: 60, names: []string{"all"}},
		},
	}
	c := r.play(t)
	if says, code := r.verify(t, c); code != 1 || !strings.Contains(says, "\ncharge.payment: ") {
		t.Errorf("cleave verify ended with %d:\n%s", code, says)
	}
}

// run is one run.
type run struct {
	*house.House
	seed      uint64
	checkouts int
	methods   []string
	rounds    []round
	folder    fault.Folder // Where places are armed.

	began, ended time.Time // Of the load.
	finished     int       // Checkouts, when the last round began.
	lastKill     time.Time
	killed       map[string]int
}

// play lets customers shop while the rounds come about.
func (r *run) play(t *testing.T) *crowd {
	t.Logf("seed %d", r.seed)
	t.Cleanup(func() { r.keepLogs(t) })
	patience := time.Minute + time.Duration(r.checkouts)*checkoutPatience + time.Duration(len(r.rounds))*killPatience
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := &crowd{Customer: r.Customer(t), t: t, seed: r.seed, shelf: newShelf(r.checkouts), methods: r.methods, book: map[string]purchase{}}
	fill(ctx, t, c.Customer, c.shelf)
	// There are fewer than are wanted.
	if _, err := house.Insist(ctx, c.Staff.Coupons.CreateCoupon, &ordersv1.CreateCouponRequest{
		RequestId: id.New("rq"), Code: couponCode, Percent: 10, MaxUses: r.maxCoupons(),
	}); err != nil {
		t.Fatalf("make a coupon: %v", err)
	}
	r.began = time.Now()
	r.chaos(ctx, t, c)
	r.ended = time.Now()
	if len(c.book) != r.checkouts {
		t.Errorf("of %d checkouts %d were acknowledged", r.checkouts, len(c.book))
	}
	return c
}

// keepLogs keeps all that the processes of a failed run have said.
func (r *run) keepLogs(t *testing.T) {
	if !t.Failed() {
		return
	}
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), "processes.log"), []byte(r.Logs()), 0o600); err != nil {
		t.Log(err)
	}
}

// verify runs cleave verify.
func (r *run) verify(t *testing.T, c *crowd) (says string, code int) {
	t.Helper()
	return r.Verify(t, slices.Collect(maps.Keys(c.book))...)
}

// chaos plays the rounds while the customers shop, and returns when both are done. The two keep step: a round waits until its moment
// has come, and customers get no further than the end of the next round's share.
func (r *run) chaos(ctx context.Context, t *testing.T, c *crowd) {
	ctx, stop := context.WithCancel(ctx)
	numbers, done, over := make(chan int, r.checkouts), make(chan struct{}, r.checkouts), make(chan struct{})
	go func() {
		defer close(over)
		c.shop(ctx, numbers, done)
	}()
	played := false
	defer func() {
		if !played { // A process has not come back, say, and the test ends here.
			stop()
		}
		close(numbers)
		<-over // Each of their calls is bounded.
		stop()
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
				t.Fatalf("customers have done %d checkouts when time is up", r.finished)
			}
		}
		r.kill(t, round)
	}
	give(r.checkouts)
	played = true
}

// kill plays a round.
func (r *run) kill(t *testing.T, round round) {
	t.Helper()
	t.Logf("%s kill %v", time.Now().UTC().Format("15:04:05.000"), round)
	for _, name := range round.names {
		if round.place != "" {
			if err := r.folder.Arm(round.place, "kill"); err != nil {
				t.Fatal(err)
			}
			r.Unit(name).Process().Wait(t)
		}
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

// couponCode is that of the coupon that everybody has.
const couponCode = "CHAOS"

// maxCoupons is how often it can be used.
func (r *run) maxCoupons() int64 { return int64(max(r.checkouts/10, 1)) }

// offer is what is for sale under a SKU.
func offer(sku string, price *typev1.Money) *catalogv1.UpsertProduct {
	return &catalogv1.UpsertProduct{
		Title: strings.ToLower(sku), Category: "chaos", State: catalogv1.ProductState_PRODUCT_STATE_PUBLISHED,
		Variants: []*catalogv1.UpsertVariant{{Sku: sku, Price: price}},
	}
}

// fill fills the shelf.
func fill(ctx context.Context, t *testing.T, customer *house.Customer, s shelf) {
	t.Helper()
	products := &catalogv1.BatchUpsertProductsRequest{RequestId: id.New("rq")}
	pieces := &inventoryv1.AdjustStockRequest{RequestId: id.New("rq")}
	for i, sku := range s.skus() {
		products.Products = append(products.Products, offer(sku, &typev1.Money{Amount: int64(1000 + 10*i), Currency: "EUR"}))
		pieces.Adjustments = append(pieces.Adjustments, &inventoryv1.StockAdjustment{Sku: sku, Delta: s.pieces(sku)})
	}
	if _, err := house.Insist(ctx, customer.Staff.Catalog.BatchUpsertProducts, products); err != nil {
		t.Fatalf("offer products: %v", err)
	}
	if _, err := house.Insist(ctx, customer.Staff.Inventory.AdjustStock, pieces); err != nil {
		t.Fatalf("add stock: %v", err)
	}
}
