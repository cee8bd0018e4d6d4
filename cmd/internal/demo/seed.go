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
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/rpc"
)

// SeedDirectly fills the shop whose modules are in the directory.
func SeedDirectly(ctx context.Context, directory *rpc.Directory) error {
	services := []*rpc.Service{catalogv1cleave.CatalogService, inventoryv1cleave.InventoryService}
	caller := directory.Caller("demo", services)
	ctx = rpc.WithMetadata(ctx, rpc.Metadata{Principal: rpc.Everything("demo", services)})
	return Seed(ctx, catalogv1cleave.NewCatalogServiceClient(caller), inventoryv1cleave.NewInventoryServiceClient(caller))
}

// batch is how many products are sent at once.
const batch = 50

// Seed writes the demo catalogue and its stock. It may be repeated: products are replaced, and only what has no stock gets some.
func Seed(ctx context.Context, catalog catalogv1connect.CatalogServiceClient, inventory inventoryv1connect.InventoryServiceClient) error {
	products := Catalogue()
	for i := 0; i < len(products); i += batch {
		part := products[i:min(i+batch, len(products))]
		request := &catalogv1.BatchUpsertProductsRequest{RequestId: id.New("demo"), Products: part}
		if _, err := catalog.BatchUpsertProducts(ctx, request); err != nil {
			return fmt.Errorf("write products: %w", err)
		}
		if err := stock(ctx, inventory, part); err != nil {
			return fmt.Errorf("write stock: %w", err)
		}
	}
	return nil
}

// stock fills the shelves of the products that are empty.
func stock(ctx context.Context, inventory inventoryv1connect.InventoryServiceClient, products []*catalogv1.UpsertProduct) error {
	question := &inventoryv1.BatchGetAvailabilityRequest{}
	for _, p := range products {
		for _, v := range p.GetVariants() {
			if v.GetSku() != SoldOut {
				question.Skus = append(question.Skus, v.GetSku())
			}
		}
	}
	answer, err := inventory.BatchGetAvailability(ctx, question)
	if err != nil {
		return err
	}
	request := &inventoryv1.AdjustStockRequest{RequestId: id.New("demo")}
	for _, a := range answer.GetAvailabilities() {
		if a.GetAvailable() == 0 {
			request.Adjustments = append(request.Adjustments, &inventoryv1.StockAdjustment{Sku: a.GetSku(), Delta: Pieces, Reason: "demo"})
		}
	}
	if len(request.GetAdjustments()) == 0 {
		return nil
	}
	_, err = inventory.AdjustStock(ctx, request)
	return err
}
