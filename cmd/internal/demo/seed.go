// Package demo fills a shop with a catalogue to play with, and shops in it as a customer would.
package demo

import (
	"context"
	"fmt"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
)

// SeedDirectly fills the shop whose modules are in the directory.
func SeedDirectly(ctx context.Context, directory *rpc.Directory) error {
	caller := directory.Caller("demo", []*rpc.Service{catalogv1cleave.CatalogService, inventoryv1cleave.InventoryService})
	return Seed(ctx, catalogv1cleave.NewCatalogServiceClient(caller), inventoryv1cleave.NewInventoryServiceClient(caller))
}

// batch is how many products are sent at once.
const batch = 50

// Seed writes the demo catalogue and its stock. It may be repeated: the request ids make it happen once.
func Seed(ctx context.Context, catalog catalogv1connect.CatalogServiceClient, inventory inventoryv1connect.InventoryServiceClient) error {
	products := Catalogue()
	for i := 0; i < len(products); i += batch {
		part := products[i:min(i+batch, len(products))]
		request := &catalogv1.BatchUpsertProductsRequest{RequestId: fmt.Sprintf("demo-%d", i)}
		stock := &inventoryv1.AdjustStockRequest{RequestId: fmt.Sprintf("demo-%d", i)}
		for _, p := range part {
			request.Products = append(request.Products, p)
			for _, v := range p.GetVariants() {
				if v.GetSku() != SoldOut {
					stock.Adjustments = append(stock.Adjustments, &inventoryv1.StockAdjustment{Sku: v.GetSku(), Delta: Pieces, Reason: "demo"})
				}
			}
		}
		if _, err := catalog.BatchUpsertProducts(ctx, request); err != nil {
			return fmt.Errorf("write products: %w", err)
		}
		if _, err := inventory.AdjustStock(ctx, stock); err != nil {
			return fmt.Errorf("write stock: %w", err)
		}
	}
	return nil
}
