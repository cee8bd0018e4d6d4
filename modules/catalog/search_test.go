package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
)

func TestSlip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"lantern", "lantern", true}, {"lantern", "lanten", true}, {"lantern", "lanterns", true}, {"lantern", "lantorn", true}, {"lantern", "lnatern", true},
		{"lantern", "lanternx", true}, {"lantern", "xlantern", true}, {"müsli", "musli", true}, {"ab", "ba", true},
		{"lantern", "lnaterm", false}, {"lantern", "lant", false}, {"lantern", "nterlan", false}, {"abcd", "bcde", false}, {"", "ab", false},
	} {
		if slip(c.a, c.b) != c.want || slip(c.b, c.a) != c.want {
			t.Errorf("%q and %q differ by a slip: %v and %v, want %v", c.a, c.b, slip(c.a, c.b), slip(c.b, c.a), c.want)
		}
	}
}

func TestWordsOf(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"Oak MUG": "oak mug", " t-shirt, 0.5 l ": "t shirt 0 5 l", "Café' | !crème:*": "café crème", "&|!()<->": "",
		strings.Repeat("word ", 50): strings.TrimSpace(strings.Repeat("word ", maxWords)),
	} {
		if got := strings.Join(wordsOf(query), " "); got != want {
			t.Errorf("the words of %q are %q, want %q", query, got, want)
		}
	}
}

// shelf fills the shop with products that have a title, a category and a description.
func (b *bundle) shelf(t *testing.T, products ...string) {
	t.Helper()
	var all []*catalogv1.UpsertProduct
	for _, p := range products {
		words := strings.Split(p, "/")
		all = append(all, &catalogv1.UpsertProduct{Title: words[0], Category: words[1], Description: words[2],
			Variants: []*catalogv1.UpsertVariant{priced(fmt.Sprint("sku ", b.ids.Add(1)), 100)}})
	}
	if _, err := b.upsert(all...); err != nil {
		t.Fatal(err)
	}
}

// found searches page by page, and returns the titles in their order, and what was looked for instead.
func (b *bundle) found(t *testing.T, size int32, query, category string) (titles []string, instead string) {
	t.Helper()
	r := &catalogv1.SearchProductsRequest{Query: query, Category: category, PageSize: size}
	for {
		answer, err := b.client.SearchProducts(b.ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range answer.GetProducts() {
			titles = append(titles, p.GetTitle())
		}
		if r.PageToken = answer.GetNextPageToken(); r.PageToken == "" {
			return titles, answer.GetCorrectedQuery()
		}
	}
}

func TestSearchFindsTheBestFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelf(t, "Oak mug/kitchen/Turned by hand.", "Oak board with a groove for the mug/kitchen/", "Steel shelf/mug/", "Tray/living/Holds a mug, or two.",
		"Lantern/garden/Made of brass.", "Lamp/living/Made of porcelain, by hand.", "T-shirt/clothing/", "Café crème/kitchen/", "Carafe 0.5 l/kitchen/")
	for _, c := range []struct{ query, category, want, instead string }{
		{"mug", "", "Oak mug, Oak board with a groove for the mug, Steel shelf, Tray", ""},
		{"MUGS", "", "Oak mug, Oak board with a groove for the mug, Steel shelf, Tray", ""}, // A stem, and no slip.
		{"mug", "kitchen", "Oak mug, Oak board with a groove for the mug", ""},
		{"oak mug", "", "Oak mug, Oak board with a groove for the mug", ""},
		{"mug oak the", "", "Oak mug, Oak board with a groove for the mug", ""},
		{"lan", "", "Lantern", ""}, // As one types.
		{"lanten", "", "Lantern", "lantern"},
		{"lnatern", "", "Lantern", "lantern"},
		{"lantterns", "", "", ""}, // Two slips are too many.
		{"oka mgu", "", "Oak mug, Oak board with a groove for the mug", "oak mug"},
		{"porcelain", "", "Lamp", ""}, // Only a description has it.
		{"t-shirt", "", "T-shirt", ""}, {"shirt", "", "T-shirt", ""}, {"café", "", "Café crème", ""}, {"0.5", "", "Carafe 0.5 l", ""},
		{"mug lantern", "", "", ""}, {"unknown", "", "", ""}, {"mug", "unknown", "", ""}, {"'); DROP TABLE product; --", "", "", ""}, {"&|!():*", "", "", ""},
		{"the", "", "", ""}, {"x\\y\" 'z", "", "", ""},
	} {
		for _, size := range []int32{0, 1} {
			titles, instead := b.found(t, size, c.query, c.category)
			if got := strings.Join(titles, ", "); got != c.want || instead != c.instead {
				t.Errorf("%q in %q: %s, instead %q, want %s, %q", c.query, c.category, got, instead, c.want, c.instead)
			}
		}
	}
}

// A word that was the stem of another before it came by itself is spelt wrong like every other.
func TestSearchKnowsWordsThatWereStems(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelf(t, "Lanterns/a/")
	b.shelf(t, "Lantern/b/")
	if titles, instead := b.found(t, 0, "lnatern", ""); len(titles) != 2 || instead != "lantern" {
		t.Errorf("%q, instead %q, want both lanterns", titles, instead)
	}
}

// Pages neither repeat nor miss what ranks alike.
func TestSearchPagesThroughEverythingOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	want := b.fill(t, 230, "things")
	for _, size := range []int32{200, 7} {
		var ids []string
		r := &catalogv1.SearchProductsRequest{Query: "product", PageSize: size}
		for {
			answer, err := b.client.SearchProducts(b.ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range answer.GetProducts() {
				ids = append(ids, p.GetId())
			}
			if r.PageToken = answer.GetNextPageToken(); r.PageToken == "" {
				break
			}
		}
		slices.Sort(ids)
		if !slices.Equal(ids, want) {
			t.Errorf("pages of %d have %d products, of which %d differ, want %d", size, len(ids), len(slices.Compact(ids)), len(want))
		}
	}
	first, err := b.client.SearchProducts(b.ctx, &catalogv1.SearchProductsRequest{Query: "product", PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*catalogv1.SearchProductsRequest{
		"another query":    {Query: "things", PageToken: first.GetNextPageToken()},
		"another category": {Query: "product", Category: "things", PageToken: first.GetNextPageToken()},
		"made up":          {Query: "product", PageToken: "eCB5CnRhZw"},
	} {
		if _, err := b.client.SearchProducts(b.ctx, r); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("the token of %s: %v, want an invalid argument", name, err)
		}
	}
}

// The index is what the products are, whichever way they changed.
func TestSearchFollowsTheProducts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one := func(query, want string) {
		t.Helper()
		if titles, _ := b.found(t, 0, query, ""); strings.Join(titles, ", ") != want {
			t.Errorf("%q finds %q, want %s", query, titles, want)
		}
	}
	p := b.create(t, "Mug", euros("m1", 100))
	one("mug", "")
	if _, err := b.publish(p.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	one("mug", "Mug")
	if _, err := b.update(p.GetId(), &catalogv1.Product{Title: "Cup", Description: "for tea"}); err != nil {
		t.Fatal(err)
	}
	one("mug", "")
	one("cup tea", "Cup")
	if _, err := b.archive(p.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	one("cup", "")
}

func TestCategoriesAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.shelf(t, "a/kitchen/", "b/garden/", "c/kitchen/", "d//", "e/office/")
	b.create(t, "f", euros("draft", 1))
	for _, size := range []int32{0, 1, 2} {
		var got []string
		r := &catalogv1.ListCategoriesRequest{PageSize: size}
		for {
			answer, err := b.client.ListCategories(b.ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range answer.GetCategories() {
				got = append(got, fmt.Sprint(c.GetName(), " ", c.GetProductCount()))
			}
			if r.PageToken = answer.GetNextPageToken(); r.PageToken == "" {
				break
			}
		}
		if text := strings.Join(got, ", "); text != "garden 1, kitchen 2, office 1" {
			t.Errorf("pages of %d: %s", size, text)
		}
	}
}
