package catalog

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

// bundle is the module at work, called by another.
type bundle struct {
	*moduletest.House
	client catalogv1connect.CatalogServiceClient
	ctx    context.Context
	ids    atomic.Int64
}

func setup(t *testing.T) *bundle {
	t.Helper()
	h := moduletest.Start(t, Module)
	return &bundle{House: h, ctx: moduletest.As(t, "usr_staff", "staff"),
		client: catalogv1cleave.NewCatalogServiceClient(h.Caller("edge", catalogv1cleave.CatalogService))}
}

// priced is a variant in euros.
func priced(sku string, cents int64) *catalogv1.UpsertVariant {
	return &catalogv1.UpsertVariant{Sku: sku, Title: "variant " + sku, Price: &typev1.Money{Amount: cents, Currency: "EUR"}}
}

// thing is a published product.
func thing(title string, variants ...*catalogv1.UpsertVariant) *catalogv1.UpsertProduct {
	return &catalogv1.UpsertProduct{Title: title, Description: "about " + title, Category: "things", Variants: variants}
}

func (b *bundle) upsert(products ...*catalogv1.UpsertProduct) ([]string, error) {
	answer, err := b.client.BatchUpsertProducts(b.ctx, &catalogv1.BatchUpsertProductsRequest{RequestId: fmt.Sprint("request ", b.ids.Add(1)), Products: products})
	return answer.GetProductIds(), err
}

// put upserts one product and returns its id.
func (b *bundle) put(t *testing.T, p *catalogv1.UpsertProduct) string {
	t.Helper()
	ids, err := b.upsert(p)
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

// get returns a published product.
func (b *bundle) get(t *testing.T, id string) *catalogv1.Product {
	t.Helper()
	answer, err := b.client.GetProduct(b.ctx, &catalogv1.GetProductRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetProduct()
}

// version returns the price version of a SKU; 0 if it is not for sale.
func (b *bundle) version(t *testing.T, sku string) int64 {
	t.Helper()
	answer, err := b.client.BatchGetVariants(b.ctx, &catalogv1.BatchGetVariantsRequest{Skus: []string{sku}})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.GetVariants()) == 0 {
		return 0
	}
	return answer.GetVariants()[0].GetPriceVersion()
}

// refused requires that an error has a code and a reason.
func refused(t *testing.T, err error, code connect.Code, reason string) {
	t.Helper()
	if connect.CodeOf(err) != code || rpc.Reason(err) != reason {
		t.Errorf("%v, want %s because of %s", err, code, reason)
	}
}
