package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// euros is a variant as one gives it.
func euros(sku string, cents int64) *catalogv1.Variant {
	return &catalogv1.Variant{Sku: sku, Price: &typev1.Money{Amount: cents, Currency: "EUR"}}
}

// create makes a draft.
func (b *bundle) create(t *testing.T, title string, variants ...*catalogv1.Variant) *catalogv1.Product {
	t.Helper()
	answer, err := b.client.CreateProduct(b.ctx, &catalogv1.CreateProductRequest{
		RequestId: fmt.Sprint("create ", b.ids.Add(1)), Product: &catalogv1.Product{Title: title, Variants: variants},
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetProduct()
}

func (b *bundle) update(id string, p *catalogv1.Product, mask ...string) (*catalogv1.Product, error) {
	r := &catalogv1.UpdateProductRequest{RequestId: fmt.Sprint("update ", b.ids.Add(1)), Id: id, Product: p}
	if len(mask) > 0 {
		r.UpdateMask = &fieldmaskpb.FieldMask{Paths: mask}
	}
	answer, err := b.client.UpdateProduct(b.ctx, r)
	return answer.GetProduct(), err
}

func (b *bundle) publish(id, etag string) (*catalogv1.Product, error) {
	answer, err := b.client.PublishProduct(b.ctx, &catalogv1.PublishProductRequest{RequestId: fmt.Sprint("publish ", b.ids.Add(1)), Id: id, Etag: etag})
	return answer.GetProduct(), err
}

func (b *bundle) archive(id, etag string) (*catalogv1.Product, error) {
	answer, err := b.client.ArchiveProduct(b.ctx, &catalogv1.ArchiveProductRequest{RequestId: fmt.Sprint("archive ", b.ids.Add(1)), Id: id, Etag: etag})
	return answer.GetProduct(), err
}

// told returns the types and sequences of the events of a product, in their order.
func (b *bundle) told(t *testing.T, id string) string {
	t.Helper()
	return moduletest.Value[string](t, b.House,
		"SELECT coalesce(string_agg(replace(type, 'catalog.v1.', '') || ' ' || sequence, ', ' ORDER BY sequence), '') FROM catalog.cleave_event WHERE subject = '"+id+"'")
}

func TestLifeOfAProduct(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.create(t, "Mug", euros("m1", 100), euros("m2", 200))
	if p.GetState() != catalogv1.ProductState_PRODUCT_STATE_DRAFT || skus(p) != "m1 m2" || p.GetEtag() == "" || p.GetCreateTime() == nil || p.GetVariants()[1].GetPriceVersion() != 1 {
		t.Errorf("what was made is %v", p)
	}
	if b.version(t, "m1") != 0 {
		t.Error("a draft is for sale")
	}
	_, err := b.archive(p.GetId(), "")
	refused(t, err, connect.CodeFailedPrecondition, "PRODUCT_STATE_DRAFT")
	published, err := b.publish(p.GetId(), p.GetEtag())
	if err != nil || published.GetState() != catalogv1.ProductState_PRODUCT_STATE_PUBLISHED || published.GetEtag() == p.GetEtag() || b.version(t, "m1") != 1 {
		t.Errorf("%v, %v, want it for sale", published, err)
	}
	_, err = b.publish(p.GetId(), "")
	refused(t, err, connect.CodeFailedPrecondition, "PRODUCT_STATE_PUBLISHED")
	repriced, err := b.update(p.GetId(), &catalogv1.Product{Variants: []*catalogv1.Variant{euros("m2", 250), euros("m3", 1), euros("m1", 100)}})
	if err != nil || skus(repriced) != "m2 m3 m1" || b.version(t, "m2") != 2 || b.version(t, "m1") != 1 {
		t.Errorf("%v, %v, want one other price", repriced, err)
	}
	_, err = b.archive(p.GetId(), published.GetEtag())
	refused(t, err, connect.CodeAborted, "ETAG_MISMATCH")
	archived, err := b.archive(p.GetId(), repriced.GetEtag())
	if err != nil || archived.GetState() != catalogv1.ProductState_PRODUCT_STATE_ARCHIVED || b.version(t, "m2") != 0 {
		t.Errorf("%v, %v, want it gone", archived, err)
	}
	_, err = b.publish(p.GetId(), "")
	refused(t, err, connect.CodeFailedPrecondition, "PRODUCT_STATE_ARCHIVED")
	if got := b.told(t, p.GetId()); got != "ProductPublished 2, PriceChanged 3, ProductArchived 4" {
		t.Errorf("told was %s", got)
	}
	for _, err := range []error{second(b.publish("prd_unknown", "")), second(b.archive("prd_unknown", "")), second(b.update("prd_unknown", &catalogv1.Product{Title: "x"}))} {
		if connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("a product that is not there: %v", err)
		}
	}
}

func second(_ *catalogv1.Product, err error) error { return err }

// A mask says what is taken, and nothing else is, whatever else is given.
func TestUpdateTakesWhatTheMaskNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.create(t, "Mug", euros("m1", 100)).GetId()
	everything := &catalogv1.Product{
		Id: "prd_other", Title: "Cup", Description: "about", Category: "kitchen", Images: []string{"https://images.example/cup.jpg"},
		State: catalogv1.ProductState_PRODUCT_STATE_PUBLISHED, Variants: []*catalogv1.Variant{{Sku: "c1", PriceVersion: 99, ProductId: "prd_other", Price: &typev1.Money{Amount: 5, Currency: "EUR"}}},
	}
	for _, c := range []struct {
		name  string
		given *catalogv1.Product
		mask  []string
		want  string
	}{
		{"one field", everything, []string{"title"}, "Cup//m1/0"},
		{"what is empty is emptied", &catalogv1.Product{Title: "x"}, []string{"category", "images"}, "Cup//m1/0"},
		{"without a mask what is there", &catalogv1.Product{Category: "living"}, nil, "Cup/living/m1/0"},
		{"all", everything, []string{"*"}, "Cup/kitchen/c1/1"},
	} {
		got, err := b.update(id, c.given, c.mask...)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if text := fmt.Sprintf("%s/%s/%s/%d", got.GetTitle(), got.GetCategory(), skus(got), len(got.GetImages())); text != c.want || got.GetId() != id ||
			got.GetState() != catalogv1.ProductState_PRODUCT_STATE_DRAFT || got.GetVariants()[0].GetPriceVersion() != 1 || got.GetVariants()[0].GetProductId() != id {
			t.Errorf("%s: %s of %v, want %s", c.name, text, got, c.want)
		}
	}
	before := b.told(t, id)
	same, err := b.update(id, everything, "*")
	if again, _ := b.update(id, everything, "*"); err != nil || !proto.Equal(same, again) || b.told(t, id) != before {
		t.Errorf("an update that changes nothing made %v of %v", again, same)
	}
	for name, c := range map[string]struct {
		given *catalogv1.Product
		mask  string
	}{
		"a state": {everything, "state"}, "a field of a variant": {everything, "variants.price"}, "the id": {everything, "id"}, "nothing": {everything, "nothing"},
		"no title": {&catalogv1.Product{}, "title"}, "no variants": {&catalogv1.Product{}, "variants"}, "all, without a title": {&catalogv1.Product{Variants: everything.Variants}, "*"},
	} {
		if _, err := b.update(id, c.given, c.mask); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v, want invalid_argument", name, err)
		}
	}
}

// Whoever writes what he has read before somebody else wrote is told so, and loses nothing of the other's.
func TestStaleWriterIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.create(t, "Mug", euros("m1", 100))
	var waiting sync.WaitGroup
	var mu sync.Mutex
	won, stale := 0, 0
	for i := range 10 {
		waiting.Go(func() {
			_, err := b.update(p.GetId(), &catalogv1.Product{Title: fmt.Sprint("title ", i), Etag: p.GetEtag()})
			mu.Lock()
			defer mu.Unlock()
			switch connect.CodeOf(err) {
			case connect.CodeAborted:
				stale++
			default:
				if err != nil {
					t.Error(err)
				}
				won++
			}
		})
	}
	waiting.Wait()
	if won != 1 || stale != 9 {
		t.Errorf("%d writers won and %d were told that they are late, want one and nine", won, stale)
	}
}

func TestCreateRefusesWhatIsNotClear(t *testing.T) {
	t.Parallel()
	b := setup(t)
	taken := b.create(t, "Mug", euros("m1", 100)).GetId()
	other := b.create(t, "Bowl", euros("b1", 100)).GetId()
	for _, c := range []struct {
		name    string
		product *catalogv1.Product
		code    connect.Code
		reason  string
	}{
		{"nothing", nil, connect.CodeInvalidArgument, ""},
		{"no title", &catalogv1.Product{Variants: []*catalogv1.Variant{euros("x", 1)}}, connect.CodeInvalidArgument, ""},
		{"no variants", &catalogv1.Product{Title: "x"}, connect.CodeInvalidArgument, ""},
		{"a negative price", &catalogv1.Product{Title: "x", Variants: []*catalogv1.Variant{euros("x", -1)}}, connect.CodeInvalidArgument, ""},
		{"no price", &catalogv1.Product{Title: "x", Variants: []*catalogv1.Variant{{Sku: "x"}}}, connect.CodeInvalidArgument, ""},
		{"a SKU twice", &catalogv1.Product{Title: "x", Variants: []*catalogv1.Variant{euros("x", 1), euros("x", 1)}}, connect.CodeInvalidArgument, "SKU_TWICE"},
		{"another's SKU", &catalogv1.Product{Title: "x", Variants: []*catalogv1.Variant{euros("x", 1), euros("m1", 1)}}, connect.CodeAlreadyExists, "SKU_TAKEN"},
		{"an image over http", &catalogv1.Product{Title: "x", Variants: []*catalogv1.Variant{euros("x", 1)}, Images: []string{"http://images.example/x.jpg"}}, connect.CodeInvalidArgument, ""},
		{"an image that is a script", &catalogv1.Product{Title: "x", Variants: []*catalogv1.Variant{euros("x", 1)}, Images: []string{"javascript:alert(1)"}}, connect.CodeInvalidArgument, ""},
		{"an image with credentials", &catalogv1.Product{Title: "x", Variants: []*catalogv1.Variant{euros("x", 1)}, Images: []string{"https://a:b@images.example/x.jpg"}}, connect.CodeInvalidArgument, ""},
		{"too many images", &catalogv1.Product{Title: "x", Variants: []*catalogv1.Variant{euros("x", 1)}, Images: slices.Repeat([]string{"https://images.example/x.jpg"}, 21)}, connect.CodeInvalidArgument, ""},
	} {
		_, err := b.client.CreateProduct(b.ctx, &catalogv1.CreateProductRequest{RequestId: c.name, Product: c.product})
		if refused(t, err, c.code, c.reason); t.Failed() {
			t.Fatalf("in the case of %s", c.name)
		}
	}
	_, err := b.update(other, &catalogv1.Product{Variants: []*catalogv1.Variant{euros("m1", 1)}})
	refused(t, err, connect.CodeAlreadyExists, "SKU_TAKEN")
	if _, err := b.client.InspectProduct(b.ctx, &catalogv1.InspectProductRequest{Id: taken}); err != nil {
		t.Error(err)
	}
	for _, ctx := range []context.Context{moduletest.As(t, "usr_customer", "customer"), moduletest.As(t, "")} {
		if _, err := b.client.CreateProduct(ctx, &catalogv1.CreateProductRequest{RequestId: "x"}); connect.CodeOf(err) != connect.CodePermissionDenied && connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("one who is no staff: %v", err)
		}
	}
}

// Every method that changes something happens once, however often it is asked for.
func TestRepetitionsHappenOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	created := &catalogv1.CreateProductRequest{RequestId: "1", Product: &catalogv1.Product{Title: "Mug", Variants: []*catalogv1.Variant{euros("m1", 100)}}}
	first, err := b.client.CreateProduct(b.ctx, created)
	if err != nil {
		t.Fatal(err)
	}
	id := first.GetProduct().GetId()
	for _, c := range []struct {
		name string
		call func(requestID string) (proto.Message, error)
	}{
		{"CreateProduct", func(r string) (proto.Message, error) {
			again := proto.CloneOf(created)
			again.Product.Variants[0].Sku, again.RequestId = "other", r
			return b.client.CreateProduct(b.ctx, again)
		}},
		{"UpdateProduct", func(r string) (proto.Message, error) {
			return b.client.UpdateProduct(b.ctx, &catalogv1.UpdateProductRequest{RequestId: r, Id: id, Product: &catalogv1.Product{Title: "Cup"}})
		}},
		{"PublishProduct", func(r string) (proto.Message, error) {
			return b.client.PublishProduct(b.ctx, &catalogv1.PublishProductRequest{RequestId: r, Id: id})
		}},
		{"ArchiveProduct", func(r string) (proto.Message, error) {
			return b.client.ArchiveProduct(b.ctx, &catalogv1.ArchiveProductRequest{RequestId: r, Id: id})
		}},
	} {
		want, err := c.call(c.name)
		if err != nil {
			t.Fatal(err)
		}
		before := b.told(t, id)
		if got, err := c.call(c.name); err != nil || !proto.Equal(got, want) || b.told(t, id) != before {
			t.Errorf("%s again: %v, %v, want %v", c.name, got, err, want)
		}
	}
	other := proto.CloneOf(created)
	other.Product.Title = "Another"
	_, err = b.client.CreateProduct(b.ctx, other)
	refused(t, err, connect.CodeAlreadyExists, "REQUEST_ID_REUSED")
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM catalog.product"); n != 2 {
		t.Errorf("there are %d products, want two", n)
	}
}

// Events of what an import changes are those of what a person changes.
func TestUpsertTellsWhatItChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.put(t, thing("mug", priced("m1", 100), priced("m2", 100)))
	b.put(t, thing("mug", priced("m1", 100), priced("m2", 100))) // Nothing.
	b.put(t, thing("cup", priced("m1", 100), priced("m2", 100))) // Nothing that others are told.
	p := thing("cup", priced("m1", 150), priced("m2", 50))
	p.State = catalogv1.ProductState_PRODUCT_STATE_ARCHIVED
	b.put(t, p)
	if got := b.told(t, id); got != "ProductPublished 1, ProductArchived 3, PriceChanged 4" {
		t.Errorf("told was %s", got)
	}
	data := moduletest.Value[[]byte](t, b.House, "SELECT data FROM catalog.cleave_event WHERE sequence = 4")
	got := &catalogv1.PriceChanged{}
	if err := proto.Unmarshal(data, got); err != nil {
		t.Fatal(err)
	}
	euro := func(cents int64) *typev1.Money { return &typev1.Money{Amount: cents, Currency: "EUR"} }
	want := &catalogv1.PriceChanged{ProductId: id, Prices: []*catalogv1.VariantPrice{
		{Sku: "m1", Price: euro(150), PriceVersion: 2, OldPrice: euro(100)}, {Sku: "m2", Price: euro(50), PriceVersion: 2, OldPrice: euro(100)},
	}}
	if !proto.Equal(got, want) {
		t.Errorf("told was %v, want %v", got, want)
	}
	if strings.Contains(string(data), "usr_") {
		t.Error("an event names a user")
	}
}
