package test

import (
	"slices"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
)

var browseScenarios = []scenario{
	{"the catalogue is browsed", connectJSON, browsed},
	{"one's orders are listed", grpc, listed},
	{"what is for sale is kept, and asked for again", connectJSON, keptForAWhile},
}

// browsed pages through a category of the demo catalogue.
func browsed(v *visit) {
	var products []*catalogv1.Product
	token, pages := "", 0
	for {
		page, err := v.catalog.ListProducts(v.ctx, &catalogv1.ListProductsRequest{PageSize: 7, Category: "garden", PageToken: token})
		v.must("list products", err)
		products = append(products, page.GetProducts()...)
		pages++
		if token = page.GetNextPageToken(); token == "" {
			break
		}
		if pages == 1 {
			_, err := v.catalog.ListProducts(v.ctx, &catalogv1.ListProductsRequest{Category: "kitchen", PageToken: token})
			v.refused("use a token for another list", err, "invalid_argument")
		}
	}
	equal(v, "products", len(products), 36)
	equal(v, "pages", pages, 6)
	seen := map[string]bool{}
	for _, p := range products {
		if seen[p.GetId()] || p.GetCategory() != "garden" || p.GetState() != published || len(p.GetVariants()) == 0 {
			v.Errorf("on the list is %v", p)
		}
		seen[p.GetId()] = true
		v.saw("%s, %d", p.GetTitle(), p.GetVariants()[0].GetPrice().GetAmount())
	}
	one, err := v.catalog.GetProduct(v.ctx, &catalogv1.GetProductRequest{Id: products[0].GetId()})
	v.must("get a product", err)
	v.same("the product", one.GetProduct(), products[0])
	equal(v, "in stock", v.available(products[0].GetVariants()[0].GetSku()), 1000)
}

// keptForAWhile holds that browsers and proxies may keep what is for sale, and are not sent what they have.
func keptForAWhile(v *visit) {
	sku := v.product(1990, 5)
	found, err := v.catalog.BatchGetVariants(v.ctx, &catalogv1.BatchGetVariantsRequest{Skus: []string{sku}})
	v.must("find the product", err)
	path := "/v1/products/" + found.GetVariants()[0].GetProductId()
	first := v.ask("GET", path, "")
	tag := first.header.Get("Etag")
	if first.status != 200 || tag == "" || first.header.Get("Cache-Control") == "" {
		v.Fatalf("got %d %v", first.status, first.header)
	}
	again := v.ask("GET", path, "", "If-None-Match: "+tag)
	if again.status != 304 || again.body != "" || again.header.Get("Etag") != tag {
		v.Errorf("whoever has it got %d and %d bytes, %v", again.status, len(again.body), again.header)
	}
	_, err = v.catalog.BatchUpsertProducts(v.ctx, &catalogv1.BatchUpsertProductsRequest{RequestId: request(), Products: []*catalogv1.UpsertProduct{{
		Title: "Mug", State: published, Variants: []*catalogv1.UpsertVariant{{Sku: sku, Title: "one", Price: &typev1.Money{Amount: 2190, Currency: "EUR"}}},
	}}})
	v.must("change the price", err)
	if changed := v.ask("GET", path, "", "If-None-Match: "+tag); changed.status != 200 || changed.header.Get("Etag") == tag {
		v.Errorf("when it has changed: %d %v", changed.status, changed.header)
	}
	v.saw("%s", first.header.Get("Cache-Control"))
	if missing := v.ask("GET", "/v1/products/prd_unknown", ""); missing.status != 404 || missing.header.Get("Etag") != "" {
		v.Errorf("what is not there may be kept: %d %v", missing.status, missing.header)
	}
	if mine := v.ask("GET", "/v1/orders", ""); mine.header.Get("Etag") != "" || mine.header.Get("Cache-Control") != "no-store" {
		v.Errorf("a proxy may keep what is one's own: %v", mine.header)
	}
}

// listed pages through the orders of the customer, of whom other scenarios place some at the same time.
func listed(v *visit) {
	sku := v.product(1990, 100)
	var mine []string
	for range 3 {
		mine = append(mine, v.buy("pm_card_visa", item{sku, 1}).GetId())
	}
	var found []string
	token := ""
	for {
		page, err := v.orders.ListOrders(v.ctx, &ordersv1.ListOrdersRequest{PageSize: 2, PageToken: token})
		v.must("list orders", err)
		for _, order := range page.GetOrders() {
			if slices.Contains(mine, order.GetId()) {
				found = append(found, order.GetId())
			}
		}
		if token = page.GetNextPageToken(); token == "" || len(found) == len(mine) {
			break
		}
	}
	slices.Reverse(mine)
	if !slices.Equal(found, mine) {
		v.Errorf("the list has %v, newest first it is %v", found, mine)
	}
}
