package test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// wire is a network between a module and those who call it, which a test can spoil.
type wire struct {
	*toxiproxy.Proxy
	t *testing.T
}

// newWire returns a wire that leads nowhere yet.
func newWire(t *testing.T, name string) *wire {
	t.Helper()
	nowhere := topology.Reserve(t)
	w := &wire{toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), name, topology.Reserve(t), nowhere), t}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return w
}

func (w *wire) url() string { return "http://" + w.Listen }

// leads has the wire lead to a URL.
func (w *wire) leads(url string) {
	w.t.Helper()
	if err := w.Update(&toxiproxy.Proxy{Listen: w.Listen, Upstream: strings.TrimPrefix(url, "http://"), Enabled: true}); err != nil {
		w.t.Fatal(err)
	}
}

// spoil adds a toxic, and returns what removes it.
func (w *wire) spoil(toxic string) (heal func()) {
	w.t.Helper()
	added, err := w.Toxics.AddToxicJson(strings.NewReader(toxic))
	if err != nil {
		w.t.Fatal(err)
	}
	return func() {
		w.t.Helper()
		if err := w.Toxics.RemoveToxic(context.Background(), added.Name); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestNetwork spoils the network between modules: one slow or dead part does not take the rest with it, is not called to death, and is
// there again as soon as it is.
func TestNetwork(t *testing.T) {
	catalog, inventory := newWire(t, "catalog"), newWire(t, "inventory")
	shop := house.Mixed.Open(t, topology.NewBinaries(t), house.Options{Env: map[string]string{
		"CLEAVE_CATALOG_URL": catalog.url(), "CLEAVE_INVENTORY_URL": inventory.url(), "CLEAVE_CALLS_AT_ONCE": "8", "CLEAVE_RATE_LIMIT": "0",
	}})
	catalog.leads(shop.Internal("catalog"))
	inventory.leads(shop.Internal("inventory"))
	t.Run("slow, and resets", func(t *testing.T) { slowAndReset(t, shop, inventory) })
	t.Run("dead peer", func(t *testing.T) { deadPeer(t, shop, catalog) })
	t.Run("black hole", func(t *testing.T) { blackHole(t, shop, catalog) })
}

// slowAndReset holds that orders are seen through, each once, over a network that is slow, and resets and loses connections.
func slowAndReset(t *testing.T, s *shop, inventory *wire) {
	v := enter(t, s, connectRPC)
	sku := v.product(1990, 50)
	defer inventory.spoil(`{"type":"latency","attributes":{"latency":200,"jitter":50}}`)()
	var orders []*ordersv1.Order
	for i := range 10 {
		heal := func() {}
		if i%3 == 1 { // Every connection is reset soon after something is sent on it.
			heal = inventory.spoil(`{"type":"reset_peer","attributes":{"timeout":100}}`)
		}
		orders = append(orders, v.buy("pm_card_visa", item{sku, 1}))
		heal()
		if i%3 == 2 { // What is under way is lost.
			inventory.Stop()
			if err := inventory.Start(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, order := range orders {
		v.settled(order.GetId(), confirmed, "")
	}
	equal(v, "left", v.available(sku), 40)
}

// deadPeer holds that the breaker opens while nobody is there and closes soon after somebody is, that there is no storm of repetitions, and
// that what needs no catalog goes on.
func deadPeer(t *testing.T, s *shop, catalog *wire) {
	v := enter(t, s, connectRPC)
	sku := v.product(1990, 10)
	order := v.buy("pm_card_visa", item{sku, 1})
	cart := v.cart(item{sku, 1})
	sales := s.Unit("sales")
	attempts, calls := attemptsAndCalls(t, sales)
	catalog.Stop()
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() {
			for range 25 {
				_, err := v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: cart})
				if got := code(err); got != "unavailable" {
					t.Errorf("ask for a quote: got %s", describe(err))
				}
			}
		})
	}
	waiting.Wait()
	if state := breaker(t, sales, "cleave.catalog.v1.CatalogService"); state != "open" {
		t.Errorf("the breaker is %s", state)
	}
	moreAttempts, moreCalls := attemptsAndCalls(t, sales)
	if attempts, calls = moreAttempts-attempts, moreCalls-calls; calls < 200 || attempts > 1.2*calls {
		t.Errorf("%v attempts for %v calls", attempts, calls)
	}
	v.settled(order.GetId(), confirmed, "")
	equal(v, "in stock", v.available(sku), 9)
	if err := catalog.Start(); err != nil {
		t.Fatal(err)
	}
	recovers(v, cart)
	if state := breaker(t, sales, "cleave.catalog.v1.CatalogService"); state == "open" {
		t.Errorf("the breaker is %s", state)
	}
}

// blackHole holds that calls that nobody answers hold up no more than the bulkhead has places, and nothing that does not need the module.
func blackHole(t *testing.T, s *shop, catalog *wire) {
	v := enter(t, s, connectRPC)
	sku := v.product(1990, 10)
	order := v.buy("pm_card_visa", item{sku, 1})
	cart := v.cart(item{sku, 1})
	heal := catalog.spoil(`{"type":"timeout","attributes":{"timeout":0}}`)
	sales := s.Unit("sales")
	var waiting sync.WaitGroup
	defer waiting.Wait()
	for range 40 {
		waiting.Go(func() {
			ctx, cancel := context.WithTimeout(v.ctx, 3*time.Second)
			defer cancel()
			_, err := v.carts.CreateQuote(ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: cart})
			if got := code(err); got != "unavailable" && got != "deadline_exceeded" {
				t.Errorf("ask for a quote: got %s", describe(err))
			}
		})
	}
	// Meanwhile:
	v.settled(order.GetId(), confirmed, "")
	equal(v, "in stock", v.available(sku), 9)
	_, err := v.carts.SetCartItem(v.ctx, &ordersv1.SetCartItemRequest{RequestId: request(), CartId: cart, Sku: sku, Quantity: 2})
	v.must("fill the cart without the catalog", err)
	waiting.Wait()
	if scraped(t, sales, "cleave_bulkhead_refused_total", "cleave.catalog.v1.CatalogService") == 0 {
		t.Error("the bulkhead has let in everybody")
	}
	if scraped(t, sales, "cleave_fallbacks_total", "cleave.catalog.v1.CatalogService") == 0 {
		t.Error("no answer was given without the catalog")
	}
	heal()
	recovers(v, cart)
}

// recovers holds that a customer gets a quote soon, and can look around.
func recovers(v *visit, cart string) {
	v.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		_, err := v.carts.CreateQuote(v.ctx, &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: cart})
		if err == nil {
			_, err = v.catalog.ListProducts(v.ctx, &catalogv1.ListProductsRequest{PageSize: 1})
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			v.Fatalf("it does not recover: %s", describe(err))
		}
	}
}

// attemptsAndCalls returns how often the catalog was called by orders.
func attemptsAndCalls(t *testing.T, unit *topology.Running) (attempts, calls float64) {
	t.Helper()
	labels := []string{"orders", "cleave.catalog.v1.CatalogService"}
	return scraped(t, unit, "cleave_client_attempts_total", labels...), scraped(t, unit, "rpc_client_call_duration_seconds", labels...)
}

// breaker returns the state of the breaker that orders has for a service.
func breaker(t *testing.T, unit *topology.Running, service string) string {
	t.Helper()
	response, err := http.Get(unit.Admin() + "/peers")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var list []struct{ Module, Service, Breaker string }
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	for _, peer := range list {
		if peer.Module == "orders" && peer.Service == service {
			return peer.Breaker
		}
	}
	t.Fatalf("orders does not call %s: %v", service, list)
	return ""
}
