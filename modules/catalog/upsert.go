package catalog

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent/variant"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

func (s *service) BatchUpsertProducts(ctx context.Context, r *catalogv1.BatchUpsertProductsRequest) (answer *catalogv1.BatchUpsertProductsResponse, err error) {
	skus, err := distinctSKUs(r.GetProducts())
	if err != nil {
		return nil, err
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		answer, err = idempotency.Once(ctx, tx, r, func() (*catalogv1.BatchUpsertProductsResponse, error) {
			return upsert(ctx, tx, r.GetProducts(), skus)
		})
		return err
	})
	return answer, err
}

// distinctSKUs returns the SKUs of all products, sorted. None may be given twice.
func distinctSKUs(products []*catalogv1.UpsertProduct) ([]string, error) {
	seen := map[string]bool{}
	var skus []string
	for i, p := range products {
		for j, v := range p.GetVariants() {
			if seen[v.GetSku()] {
				return nil, rpc.Errorf(connect.CodeInvalidArgument, "SKU_TWICE", "products[%d].variants[%d].sku: %q is given twice", i, j, v.GetSku())
			}
			seen[v.GetSku()] = true
			skus = append(skus, v.GetSku())
		}
	}
	sort.Strings(skus)
	return skus, nil
}

// maxRows is how many variants are written at once: PostgreSQL takes no more than 65,535 parameters.
const maxRows = 1000

// upsert creates or replaces products. Which one is replaced is told by its SKUs. The rows are written in bulk, because imports are
// large.
func upsert(ctx context.Context, tx tx, products []*catalogv1.UpsertProduct, skus []string) (*catalogv1.BatchUpsertProductsResponse, error) {
	// One at a time: a SKU that is not there yet has no row that could be locked, and two would make a product each for it.
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('catalog upsert', 0))"); err != nil {
		return nil, fmt.Errorf("wait for another import: %w", err)
	}
	rows, err := tx.Ent.Variant.Query().Where(variant.IDIn(skus...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load variants: %w", err)
	}
	existing := make(map[string]*ent.Variant, len(rows))
	for _, row := range rows {
		existing[row.ID] = row
	}
	answer := &catalogv1.BatchUpsertProductsResponse{}
	var newProducts []*ent.ProductCreate
	var variants []*ent.VariantCreate
	for i, p := range products {
		productID, err := ownerOf(i, p, existing)
		if err != nil {
			return nil, err
		}
		if first := slices.Index(answer.GetProductIds(), productID); first >= 0 {
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "PRODUCT_TWICE",
				"products[%d]: its SKUs belong to the product that products[%d] replaces: take them out of that one first", i, first)
		}
		answer.ProductIds = append(answer.ProductIds, productID)
		newProducts = append(newProducts, tx.Ent.Product.Create().SetID(productID).SetTitle(p.GetTitle()).
			SetDescription(p.GetDescription()).SetCategory(p.GetCategory()).SetState(string(stateOf(p.GetState()))))
		for position, v := range p.GetVariants() {
			version := int64(1)
			if old, ok := existing[v.GetSku()]; ok {
				version = nextPriceVersion(old.PriceVersion, old.PriceAmount, old.PriceCurrency, v.GetPrice().GetAmount(), v.GetPrice().GetCurrency())
			}
			variants = append(variants, tx.Ent.Variant.Create().SetID(v.GetSku()).SetProductID(productID).SetTitle(v.GetTitle()).
				SetPriceAmount(v.GetPrice().GetAmount()).SetPriceCurrency(v.GetPrice().GetCurrency()).SetPriceVersion(version).SetPosition(position))
		}
	}
	if err := tx.Ent.Product.CreateBulk(newProducts...).OnConflictColumns("id").Update(func(u *ent.ProductUpsert) {
		u.UpdateTitle().UpdateDescription().UpdateCategory().UpdateState().UpdateUpdateTime()
	}).Exec(ctx); err != nil {
		return nil, fmt.Errorf("write products: %w", err)
	}
	if _, err := tx.Ent.Variant.Delete().Where(variant.ProductIDIn(answer.GetProductIds()...), variant.IDNotIn(skus...)).Exec(ctx); err != nil {
		return nil, fmt.Errorf("remove variants: %w", err)
	}
	for chunk := range slices.Chunk(variants, maxRows) {
		if err := tx.Ent.Variant.CreateBulk(chunk...).OnConflictColumns("sku").UpdateNewValues().Exec(ctx); err != nil {
			return nil, fmt.Errorf("write variants: %w", err)
		}
	}
	return answer, nil
}

// ownerOf returns the id of the product that holds the SKUs, or a new one.
func ownerOf(index int, p *catalogv1.UpsertProduct, existing map[string]*ent.Variant) (string, error) {
	owner := ""
	for _, v := range p.GetVariants() {
		row, ok := existing[v.GetSku()]
		if !ok {
			continue
		}
		if owner != "" && row.ProductID != owner {
			return "", rpc.Errorf(connect.CodeFailedPrecondition, "SKUS_OF_SEVERAL_PRODUCTS", "products[%d]: its SKUs belong to several products", index)
		}
		owner = row.ProductID
	}
	if owner == "" {
		owner = id.New("prd")
	}
	return owner, nil
}
