package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// list pages through a list and returns the ids, and how many items each page had.
func (b *bundle) list(t *testing.T, size int32, category string) (ids []string, pages []int) {
	t.Helper()
	r := &catalogv1.ListProductsRequest{PageSize: size, Category: category}
	for {
		answer, err := b.client.ListProducts(b.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, len(answer.GetProducts()))
		for _, p := range answer.GetProducts() {
			ids = append(ids, p.GetId())
		}
		if r.PageToken = answer.GetNextPageToken(); r.PageToken == "" {
			return ids, pages
		}
	}
}

// fill makes products in one transaction, so that they all have the same times, and returns their ids.
func (b *bundle) fill(t *testing.T, count int, category string) (ids []string) {
	t.Helper()
	for chunk := range slices.Chunk(make([]struct{}, count), 100) {
		var products []*catalogv1.UpsertProduct
		for range chunk {
			p := thing("product", priced(fmt.Sprint("sku ", b.ids.Add(1)), 100))
			p.Category = category
			products = append(products, p)
		}
		made, err := b.upsert(products...)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, made...)
	}
	slices.Sort(ids)
	return ids
}

func TestListShowsEverythingOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	things := b.fill(t, 7, "things")
	both := slices.Concat(things, b.fill(t, 5, "more"))
	slices.Sort(both)
	b.Exec(t, "UPDATE catalog.product SET create_time = now(), update_time = now()")
	for _, c := range []struct {
		size     int32
		category string
		want     []string
		pages    []int
	}{
		{0, "", both, []int{12}},
		{5, "", both, []int{5, 5, 2}},
		{1, "things", things, []int{1, 1, 1, 1, 1, 1, 1}},
		{4, "things", things, []int{4, 3}},
		{7, "things", things, []int{7}}, // No empty page after the last.
		{3, "unknown", nil, []int{0}},
	} {
		ids, pages := b.list(t, c.size, c.category)
		if !slices.Equal(ids, c.want) || !slices.Equal(pages, c.pages) {
			t.Errorf("size %d, category %q: pages of %v, %q, want %v, %q", c.size, c.category, pages, ids, c.pages, c.want)
		}
	}
}

// What comes while somebody pages through the list neither hides nor repeats what was there.
func TestListWhileProductsCome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := b.fill(t, 6, "things")
	r := &catalogv1.ListProductsRequest{PageSize: 2}
	var seen []string
	for {
		answer, err := b.client.ListProducts(b.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range answer.GetProducts() {
			seen = append(seen, p.GetId())
		}
		if r.PageToken = answer.GetNextPageToken(); r.PageToken == "" || len(seen) > 20 {
			break
		}
		if len(seen) < 6 {
			b.fill(t, 1, "things")
		}
	}
	if len(seen) < len(want) || !slices.Equal(seen[:len(want)], want) || len(slices.Compact(slices.Clone(seen))) != len(seen) {
		t.Errorf("%q, want %q and some of those that came", seen, want)
	}
}

func TestListAnswersNoMoreThan200(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := b.fill(t, 230, "things")
	if ids, pages := b.list(t, 1e9, ""); !slices.Equal(pages, []int{200, 30}) || !slices.Equal(ids, want) {
		t.Errorf("pages of %v, want 200 and 30", pages)
	}
	if _, err := b.client.ListProducts(b.ctx, &catalogv1.ListProductsRequest{PageSize: -1}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("a negative page size: %v, want an invalid argument", err)
	}
}

func TestPageTokenBelongsToItsList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill(t, 3, "things")
	first, err := b.client.ListProducts(b.ctx, &catalogv1.ListProductsRequest{PageSize: 1, Category: "things"})
	if err != nil || first.GetNextPageToken() == "" {
		t.Fatalf("%v, %v, want a next page", first, err)
	}
	for name, r := range map[string]*catalogv1.ListProductsRequest{
		"without the filter": {PageToken: first.GetNextPageToken()},
		"another filter":     {PageToken: first.GetNextPageToken(), Category: "more"},
		"made up":            {PageToken: "cHJkXzE", Category: "things"},
		"with a zero byte":   {PageToken: "AAp0aGluZ3M", Category: "things"},
	} {
		if answer, err := b.client.ListProducts(b.ctx, r); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v, %v, want an invalid argument", name, answer, err)
		}
	}
}

// What is not for sale can be seen nowhere by customers. Whoever keeps the shop sees everything.
func TestOnlyPublishedProductsAreVisible(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const unspecified, isDraft, isPublished, isArchived = catalogv1.ProductState_PRODUCT_STATE_UNSPECIFIED, catalogv1.ProductState_PRODUCT_STATE_DRAFT,
		catalogv1.ProductState_PRODUCT_STATE_PUBLISHED, catalogv1.ProductState_PRODUCT_STATE_ARCHIVED
	for _, c := range []struct{ given, want catalogv1.ProductState }{
		{isDraft, isDraft}, {unspecified, isDraft}, {isPublished, isPublished}, {unspecified, isPublished}, {isArchived, isArchived}, {unspecified, isArchived},
	} {
		p := thing("mug", priced("a", 100))
		p.State = c.given
		id := b.put(t, p)
		visible := c.want == isPublished
		_, err := b.client.GetProduct(b.ctx, &catalogv1.GetProductRequest{Id: id})
		if visible && err != nil || !visible && connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s: %v", c.want, err)
		}
		if ids, _ := b.list(t, 0, ""); slices.Contains(ids, id) != visible {
			t.Errorf("%s: in the list: %v", c.want, !visible)
		}
		if got := b.version(t, "a"); (got != 0) != visible {
			t.Errorf("%s: its variant can be bought: %v", c.want, !visible)
		}
		inspected, err := b.client.InspectProduct(b.ctx, &catalogv1.InspectProductRequest{Id: id})
		if err != nil || inspected.GetProduct().GetState() != c.want {
			t.Errorf("%v, %v, want it to be %s", inspected, err, c.want)
		}
		for _, filter := range []catalogv1.ProductState{unspecified, isDraft, isPublished, isArchived} {
			page, err := b.client.InspectProducts(b.ctx, &catalogv1.InspectProductsRequest{State: filter})
			if want := filter == unspecified || filter == c.want; err != nil || (len(page.GetProducts()) == 1) != want {
				t.Errorf("among those that are %s: %v, %v, want it there: %v", filter, page, err, want)
			}
		}
	}
	p := thing("mug", priced("a", 100))
	p.State = isPublished
	_, err := b.upsert(p)
	refused(t, err, connect.CodeFailedPrecondition, "PRODUCT_STATE_ARCHIVED")
	_, err = b.client.InspectProducts(moduletest.As(t, "usr_customer", "customer"), &catalogv1.InspectProductsRequest{})
	refused(t, err, connect.CodePermissionDenied, "ROLE")
}

func TestBatchGetVariantsLeavesOutWhatIsUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(t, thing("mug", priced("a", 100), priced("b", 200)))
	answer, err := b.client.BatchGetVariants(b.ctx, &catalogv1.BatchGetVariantsRequest{Skus: []string{"b", "unknown", "b"}})
	if err != nil || len(answer.GetVariants()) != 1 || answer.GetVariants()[0].GetSku() != "b" || answer.GetVariants()[0].GetProductTitle() != "mug" {
		t.Errorf("%v, %v, want the one that is known", answer, err)
	}
}

func TestUnknownProduct(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.client.GetProduct(b.ctx, &catalogv1.GetProductRequest{Id: "prd_unknown"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("%v, want not found", err)
	}
}

// PostgreSQL keeps no zero bytes: that is the caller's mistake and not ours.
func TestZeroByteIsInvalid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.client.GetProduct(b.ctx, &catalogv1.GetProductRequest{Id: "prd_\x00"}); connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "id: must not") {
		t.Errorf("reading: %v, want invalid_argument", err)
	}
	_, err := b.client.BatchUpsertProducts(b.ctx, &catalogv1.BatchUpsertProductsRequest{
		RequestId: "zero", Products: []*catalogv1.UpsertProduct{thing("a\x00b", priced("zero byte", 100))},
	})
	if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "products[0].title: must not") {
		t.Errorf("writing: %v, want invalid_argument", err)
	}
}
