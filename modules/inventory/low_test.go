package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// told returns the events of a SKU, with what they say.
func (b *bundle) told(t testing.TB, sku string) (said []string) {
	t.Helper()
	for i, data := range moduletest.Query[[]byte](t, b.House, "SELECT data FROM inventory.cleave_event WHERE subject = $1 ORDER BY sequence", sku) {
		kind := moduletest.Value[string](t, b.House, "SELECT type FROM inventory.cleave_event WHERE subject = $1 AND sequence = $2", sku, i+1)
		var m interface {
			proto.Message
			GetSku() string
			GetAvailable() int64
			GetLowAt() int64
		} = &inventoryv1.StockRanLow{}
		if kind == event.TypeOf(&inventoryv1.StockReplenished{}) {
			m = &inventoryv1.StockReplenished{}
		}
		if err := proto.Unmarshal(data, m); err != nil || kind != event.TypeOf(m) || m.GetSku() != sku {
			t.Fatalf("%s of %s is %v (%v)", kind, sku, m, err)
		}
		said = append(said, fmt.Sprintf("%s %d of %d", strings.TrimPrefix(kind, "inventory.v1."), m.GetAvailable(), m.GetLowAt()))
	}
	return said
}

// A crossing is told of once, whatever is sold below the threshold, and the way back too.
func TestLowStockIsToldOfOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10}, line{"b", 1})
	var want []string
	tell := func(more ...string) {
		t.Helper()
		for range 2 { // What was told is not told again.
			must(t, b.service.tellLow(b.ctx))
		}
		want = append(want, more...)
		if got := b.told(t, "a"); !slices.Equal(got, want) {
			t.Fatalf("told %q, want %q", got, want)
		}
	}
	tell() // Without a threshold nothing is low.
	must(t, b.setThreshold("a", proto.Int64(4)))
	b.hold(t, line{"a", 5})
	tell()
	last := b.hold(t, line{"a", 1})
	tell("StockRanLow 4 of 4")
	other := b.hold(t, line{"a", 3})
	tell()
	must(t, b.release(other))
	tell()
	must(t, b.release(last))
	tell("StockReplenished 5 of 4")
	must(t, b.release(b.hold(t, line{"a", 2})))
	tell() // It fell and rose before anybody looked.
	must(t, b.setThreshold("a", proto.Int64(5)))
	tell("StockRanLow 5 of 5")
	b.receive(t, line{"a", 7})
	tell("StockReplenished 12 of 5")
	b.receive(t, line{"a", -12})
	tell("StockRanLow 0 of 5")
	must(t, b.setThreshold("a", nil))
	tell("StockReplenished 0 of 0")
	if said := b.told(t, "b"); said != nil {
		t.Errorf("what has no threshold: %q", said)
	}
	if err := b.setThreshold("unknown", proto.Int64(1)); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a threshold of what is not known: %v", err)
	}
}

// However many buy at once, and however many replicas look meanwhile: one crossing is one event.
func TestManyBuyersCrossOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 150})
	must(t, b.setThreshold("a", proto.Int64(100)))
	ctx, stop := context.WithCancel(b.ctx)
	var looking sync.WaitGroup
	for range 2 {
		looking.Go(func() {
			for ctx.Err() == nil {
				if err := b.service.tellLow(ctx); err != nil && ctx.Err() == nil {
					t.Errorf("tell: %v", err)
				}
			}
		})
	}
	if sold := b.buy(t, 100); sold != 100 {
		t.Errorf("%d of 100 were sold", sold)
	}
	stop()
	looking.Wait()
	must(t, b.service.tellLow(b.ctx))
	if got := b.told(t, "a"); len(got) != 1 || !strings.HasPrefix(got[0], "StockRanLow ") {
		t.Errorf("told %q, want that it ran low, once", got)
	}
	b.consistent(t)
}

// What is sold without a pause is told of all the same: the sweep waits for its turn, and holds up nothing else meanwhile.
func TestWhatIsBeingSoldIsToldOf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5}, line{"b", 5})
	must(t, b.setThreshold("a", proto.Int64(5)))
	must(t, b.setThreshold("b", proto.Int64(5)))
	sale, err := b.service.store.Pool().Begin(b.ctx)
	must(t, err)
	defer sale.Rollback(b.ctx)
	_, err = sale.Exec(b.ctx, "UPDATE stock SET reserved = 1 WHERE sku = 'a'")
	must(t, err)
	ended := make(chan error, 1)
	go func() { ended <- b.service.tellLow(b.ctx) }()
	moduletest.Eventually(t, "it waits for the sale", func() bool {
		return moduletest.Value[bool](t, b.House, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')")
	})
	if said := b.told(t, "b"); len(said) != 1 {
		t.Errorf("what nobody is buying was told of as %q", said)
	}
	must(t, sale.Rollback(b.ctx))
	must(t, <-ended)
	if said := b.told(t, "a"); len(said) != 1 {
		t.Errorf("what somebody was buying was told of as %q", said)
	}
}

// A sale rewrites the row of what is sold and no index, as long as nothing becomes low by it.
func TestSalesTouchNoIndexOfTheStock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 100})
	must(t, b.setThreshold("a", proto.Int64(10)))
	tx, err := b.service.store.Pool().Begin(b.ctx)
	must(t, err)
	defer tx.Rollback(b.ctx)
	counted := func() (all, inPage int) {
		must(t, tx.QueryRow(b.ctx, "SELECT pg_stat_get_xact_tuples_updated('stock'::regclass), pg_stat_get_xact_tuples_hot_updated('stock'::regclass)").Scan(&all, &inPage))
		return all, inPage
	}
	allBefore, inPageBefore := counted() // Of what came before on this connection.
	for range 9 {
		_, err := tx.Exec(b.ctx, "UPDATE stock SET reserved = reserved + 10 WHERE sku = 'a'")
		must(t, err)
	}
	all, inPage := counted()
	if all, inPage = all-allBefore, inPage-inPageBefore; all != 9 || inPage != 8 { // The last one made it low.
		t.Errorf("of %d sales %d touched no index, want 8 of 9", all, inPage)
	}
}

// Nobody has to ask for it.
func TestLowStockIsToldOf(t *testing.T) {
	t.Parallel()
	b := start(t, Module)
	b.receive(t, line{"a", 1})
	must(t, b.setThreshold("a", proto.Int64(1)))
	moduletest.Eventually(t, "it is told that there is little", func() bool { return len(b.told(t, "a")) == 1 })
}
