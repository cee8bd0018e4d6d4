package catalog

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// skus returns the SKUs of a product in their order.
func skus(p *catalogv1.Product) string {
	var list []string
	for _, v := range p.GetVariants() {
		list = append(list, v.GetSku())
	}
	return strings.Join(list, " ")
}

func TestUpsertCreatesWhatIsGiven(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ids, err := b.upsert(thing("mug", priced("m2", 200), priced("m1", 100)), thing("bowl", priced("b1", 0)))
	if err != nil {
		t.Fatal(err)
	}
	got := b.get(t, ids[0])
	if got.GetTitle() != "mug" || got.GetDescription() != "about mug" || got.GetCategory() != "things" || skus(got) != "m2 m1" ||
		got.GetState() != catalogv1.ProductState_PRODUCT_STATE_PUBLISHED {
		t.Errorf("%v is not what was given", got)
	}
	want := &catalogv1.Variant{Sku: "m2", Title: "variant m2", Price: &typev1.Money{Amount: 200, Currency: "EUR"}, PriceVersion: 1, ProductId: ids[0], ProductTitle: "mug"}
	if !proto.Equal(got.GetVariants()[0], want) {
		t.Errorf("%v, want %v", got.GetVariants()[0], want)
	}
	if got := b.get(t, ids[1]); got.GetTitle() != "bowl" || skus(got) != "b1" {
		t.Errorf("%v is not what was given second", got)
	}
}

// Which product is replaced is told by its SKUs, so an import can be repeated.
func TestUpsertReplacesBySKU(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.put(t, thing("mug", priced("m1", 100), priced("m2", 100)))
	other := b.put(t, thing("bowl", priced("b1", 100)))
	before := b.get(t, id)
	again := b.put(t, thing("cup", priced("m3", 100), priced("m2", 100))) // m1 is gone, m3 is new.
	if again != id {
		t.Fatalf("%s was made instead of replacing %s", again, id)
	}
	got := b.get(t, id)
	if got.GetTitle() != "cup" || skus(got) != "m3 m2" {
		t.Errorf("%v is not what was given", got)
	}
	if !got.GetCreateTime().AsTime().Equal(before.GetCreateTime().AsTime()) || !got.GetUpdateTime().AsTime().After(before.GetUpdateTime().AsTime()) {
		t.Errorf("times %v and %v, before %v and %v", got.GetCreateTime(), got.GetUpdateTime(), before.GetCreateTime(), before.GetUpdateTime())
	}
	if b.version(t, "m1") != 0 {
		t.Error("a SKU that was taken out is still for sale")
	}
	if got := b.get(t, other); skus(got) != "b1" {
		t.Errorf("another product has become %v", got)
	}
}

// A SKU that was taken out can be given to another product; one that is still somewhere cannot.
func TestSKUMovesByWayOfNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, thing("mug", priced("m1", 100), priced("moved", 100)))
	bowl := b.put(t, thing("bowl", priced("b1", 100)))
	_, err := b.upsert(thing("bowl", priced("b1", 100), priced("moved", 100)))
	refused(t, err, connect.CodeFailedPrecondition, "SKUS_OF_SEVERAL_PRODUCTS")
	b.put(t, thing("mug", priced("m1", 100)))
	if id := b.put(t, thing("bowl", priced("b1", 100), priced("moved", 100))); id != bowl || skus(b.get(t, id)) != "b1 moved" {
		t.Errorf("%v, want the bowl with the SKU", b.get(t, id))
	}
}

func TestUpsertRefusesWhatIsNotClear(t *testing.T) {
	t.Parallel()
	b := setup(t)
	mug := b.put(t, thing("mug", priced("m1", 100), priced("m2", 100)))
	b.put(t, thing("bowl", priced("b1", 100)))
	for _, c := range []struct {
		name     string
		products []*catalogv1.UpsertProduct
		code     connect.Code
		reason   string
	}{
		{"a SKU twice in a product", []*catalogv1.UpsertProduct{thing("x", priced("x1", 1), priced("x1", 2))}, connect.CodeInvalidArgument, "SKU_TWICE"},
		{"a SKU in two products", []*catalogv1.UpsertProduct{thing("x", priced("x1", 1)), thing("y", priced("x1", 2))}, connect.CodeInvalidArgument, "SKU_TWICE"},
		{"two products become one", []*catalogv1.UpsertProduct{thing("x", priced("m1", 1), priced("b1", 2))}, connect.CodeFailedPrecondition, "SKUS_OF_SEVERAL_PRODUCTS"},
		{"one product becomes two", []*catalogv1.UpsertProduct{thing("x", priced("m1", 1)), thing("y", priced("m2", 2))}, connect.CodeFailedPrecondition, "PRODUCT_TWICE"},
		{"a negative price", []*catalogv1.UpsertProduct{thing("x", priced("x1", -1))}, connect.CodeInvalidArgument, ""},
		{"no price", []*catalogv1.UpsertProduct{thing("x", &catalogv1.UpsertVariant{Sku: "x1"})}, connect.CodeInvalidArgument, ""},
		{"no variants", []*catalogv1.UpsertProduct{thing("x")}, connect.CodeInvalidArgument, ""},
		{"no title", []*catalogv1.UpsertProduct{thing("", priced("x1", 1))}, connect.CodeInvalidArgument, ""},
		{"no currency", []*catalogv1.UpsertProduct{thing("x", &catalogv1.UpsertVariant{Sku: "x1", Price: &typev1.Money{Amount: 1}})}, connect.CodeInvalidArgument, ""},
	} {
		_, err := b.upsert(append([]*catalogv1.UpsertProduct{thing("new", priced("n1", 1))}, c.products...)...)
		if refused(t, err, c.code, c.reason); t.Failed() {
			t.Fatalf("in the case of %s", c.name)
		}
		if b.version(t, "n1") != 0 {
			t.Errorf("%s: a part was done", c.name)
		}
	}
	if got := b.get(t, mug); got.GetTitle() != "mug" || skus(got) != "m1 m2" {
		t.Errorf("the product has become %v", got)
	}
}

// A quote can tell by the version whether a price is still the price.
func TestPriceVersionCountsPrices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, c := range []struct {
		amount   int64
		currency string
		want     int64
	}{{100, "EUR", 1}, {100, "EUR", 1}, {200, "EUR", 2}, {100, "EUR", 3}, {100, "USD", 4}, {100, "USD", 4}} {
		b.put(t, thing(fmt.Sprint("title ", i), &catalogv1.UpsertVariant{Sku: "a", Price: &typev1.Money{Amount: c.amount, Currency: c.currency}}, priced("other", 5)))
		if got := b.version(t, "a"); got != c.want {
			t.Errorf("the version of %d %s is %d, want %d", c.amount, c.currency, got, c.want)
		}
	}
	if got := b.version(t, "other"); got != 1 {
		t.Errorf("the version of a price that never changed is %d", got)
	}
}

func TestRepeatedUpsertHappensOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := &catalogv1.BatchUpsertProductsRequest{RequestId: "1", Products: []*catalogv1.UpsertProduct{thing("mug", priced("m1", 100))}}
	first, err := b.client.BatchUpsertProducts(b.ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	b.put(t, thing("cup", priced("m1", 200)))
	if again, err := b.client.BatchUpsertProducts(b.ctx, r); err != nil || !proto.Equal(again, first) {
		t.Errorf("%v, %v, want %v", again, err, first)
	}
	if got := b.get(t, first.GetProductIds()[0]); got.GetTitle() != "cup" {
		t.Errorf("the repetition has made it %q again", got.GetTitle())
	}
}

// Two imports that begin at once with a SKU that is new do not make two products of it, nor two prices with the same version.
func TestConcurrentUpsertsMeetInOneProduct(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const count = 12
	var waiting sync.WaitGroup
	for i := range count {
		waiting.Go(func() {
			// The SKUs in turn, so that locks that are taken in their order would cross.
			variants := []*catalogv1.UpsertVariant{priced("a", int64(i)), priced("b", int64(i)), priced("c", int64(i))}
			slices.Reverse(variants[:1+i%3])
			if _, err := b.upsert(thing(fmt.Sprint("title ", i), variants...)); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM catalog.product"); n != 1 {
		t.Errorf("there are %d products, want one", n)
	}
	if got := b.version(t, "a"); got != count {
		t.Errorf("the version of the last of %d prices is %d", count, got)
	}
}

// The contract allows a hundred products with a hundred variants each.
func TestUpsertTakesLargestRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var products []*catalogv1.UpsertProduct
	for i := range 100 {
		p := thing(fmt.Sprint("product ", i))
		for j := range 100 {
			p.Variants = append(p.Variants, priced(fmt.Sprintf("%d-%d", i, j), 100))
		}
		products = append(products, p)
	}
	for range 2 { // Created, then replaced.
		ids, err := b.upsert(products...)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.get(t, ids[99]); len(got.GetVariants()) != 100 {
			t.Errorf("%d variants, want a hundred", len(got.GetVariants()))
		}
	}
}
