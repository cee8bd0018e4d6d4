package catalog

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// dump returns what the module has written down because it was asked to. An import that was started goes on by itself, which does not count.
func (b *bundle) dump(t *testing.T) string {
	t.Helper()
	var rows []string
	for _, table := range []string{
		"product", "variant", "(SELECT id, type, subject, sequence FROM catalog.cleave_event)", "(SELECT id, format, size, state <> 'open' AS begun, state = 'cancelled' AS cancelled FROM catalog.import)",
	} {
		from := strings.Replace("catalog."+table, "catalog.(", "(", 1)
		rows = append(rows, moduletest.Query[string](t, b.House, "SELECT r::text FROM "+from+" r ORDER BY 1")...)
	}
	return strings.Join(rows, "\n")
}

func TestEveryRequestHappensOnce(t *testing.T) {
	t.Parallel()
	b := setupImports(t)
	mug := func(sku string) *catalogv1.Product {
		return &catalogv1.Product{Title: "mug", Variants: []*catalogv1.Variant{{Sku: sku, Title: "one", Price: &typev1.Money{Amount: 100, Currency: "EUR"}}}}
	}
	draft, otherDraft := b.create(t, "draft", mug("d").GetVariants()...).GetId(), b.create(t, "other", mug("o").GetVariants()...).GetId()
	sold, otherSold := b.put(t, thing("sold", priced("s", 100))), b.put(t, thing("other sold", priced("os", 100)))
	const wrong = "sku,title,price_amount,price_currency\nx,y,no price,EUR\n" // An import of it changes no product.
	open, otherOpen, toCancel := b.open(t, formatCSV, wrong, 1000), b.open(t, formatCSV, wrong, 1000), b.open(t, formatCSV, wrong, 1000)
	growing := b.open(t, formatCSV, "", 1000)
	calls := moduletest.Requests{
		"CreateProduct": func(other bool) (proto.Message, error) {
			return b.client.CreateProduct(b.ctx, &catalogv1.CreateProductRequest{RequestId: "same", Product: mug(either(other, "c1", "c2"))})
		},
		"UpdateProduct": func(other bool) (proto.Message, error) {
			return b.client.UpdateProduct(b.ctx, &catalogv1.UpdateProductRequest{
				RequestId: "same", Id: otherSold, Product: &catalogv1.Product{Title: either(other, "this", "that")}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}},
			})
		},
		"PublishProduct": func(other bool) (proto.Message, error) {
			return b.client.PublishProduct(b.ctx, &catalogv1.PublishProductRequest{RequestId: "same", Id: either(other, draft, otherDraft)})
		},
		"ArchiveProduct": func(other bool) (proto.Message, error) {
			return b.client.ArchiveProduct(b.ctx, &catalogv1.ArchiveProductRequest{RequestId: "same", Id: either(other, sold, otherSold)})
		},
		"BatchUpsertProducts": func(other bool) (proto.Message, error) {
			return b.client.BatchUpsertProducts(b.ctx, &catalogv1.BatchUpsertProductsRequest{
				RequestId: "same", Products: []*catalogv1.UpsertProduct{thing("upserted", priced(either(other, "u1", "u2"), 100))},
			})
		},
		"CreateImport": func(other bool) (proto.Message, error) {
			return b.CreateImport(b.ctx, &catalogv1.CreateImportRequest{RequestId: "same", Format: messageFormats[either(other, formatCSV, formatJSONL)]})
		},
		"AppendImport": func(other bool) (proto.Message, error) {
			return b.AppendImport(b.ctx, &catalogv1.AppendImportRequest{RequestId: "same", Id: growing, Data: []byte(either(other, "this", "that"))})
		},
		"StartImport": func(other bool) (proto.Message, error) {
			return b.StartImport(b.ctx, &catalogv1.StartImportRequest{RequestId: "same", Id: either(other, open, otherOpen)})
		},
		"CancelImport": func(other bool) (proto.Message, error) {
			return b.CancelImport(b.ctx, &catalogv1.CancelImportRequest{RequestId: "same", Id: either(other, toCancel, otherOpen)})
		},
	}
	calls.HappenOnce(t, Module.Serves, func() string { return b.dump(t) }, func(name, before, after string) {
		if added := strings.Count(after, "\n") - strings.Count(before, "\n"); added > 3 { // A product, its variant, and that it was published.
			t.Errorf("%s has added %d rows", name, added)
		}
	})
}

func either[T any](other bool, this, that T) T {
	if other {
		return that
	}
	return this
}
