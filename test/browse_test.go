package test

import (
	"slices"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
)

var browseScenarios = []scenario{
	{"the catalogue is browsed", connectJSON, browsed},
	{"one's orders are listed", grpc, listed},
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
