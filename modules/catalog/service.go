package catalog

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent/product"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent/variant"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// service implements CatalogService: a transaction per method.
type service struct {
	store *db.Store[*ent.Client]
}

type tx = db.Tx[*ent.Client]

func (s *service) GetProduct(ctx context.Context, r *catalogv1.GetProductRequest) (*catalogv1.GetProductResponse, error) {
	row, err := s.store.Ent.Product.Query().Where(product.ID(r.GetId()), product.State(string(published))).WithVariants(inOrder).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("product", r.GetId())
	}
	if err != nil {
		return nil, db.Unavailable(err)
	}
	return &catalogv1.GetProductResponse{Product: message(row)}, nil
}

func (s *service) ListProducts(ctx context.Context, r *catalogv1.ListProductsRequest) (*catalogv1.ListProductsResponse, error) {
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), r.GetCategory())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	query := s.store.Ent.Product.Query().Where(product.State(string(published)), product.IDGT(after))
	if r.GetCategory() != "" {
		query.Where(product.Category(r.GetCategory()))
	}
	rows, err := query.Order(product.ByID()).Limit(size + 1).WithVariants(inOrder).All(ctx)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &catalogv1.ListProductsResponse{}
	for i, row := range rows {
		if i == size { // One more than was asked for: there is a next page.
			answer.NextPageToken = page.Encode(rows[i-1].ID, r.GetCategory())
			break
		}
		answer.Products = append(answer.Products, message(row))
	}
	return answer, nil
}

func (s *service) BatchGetVariants(ctx context.Context, r *catalogv1.BatchGetVariantsRequest) (*catalogv1.BatchGetVariantsResponse, error) {
	// Every checkout asks for this, so it is one statement whose plan is made once: two looks into an index for each SKU. PostgreSQL would
	// plan it anew for the SKUs that it is given, which takes longer than to run it, if they were not hidden in a SELECT. And it would
	// read a small catalog from end to end, if OFFSET did not forbid it to join in another way.
	rows, err := s.store.Pool().Query(ctx, `SELECT v.sku, v.title, v.product_id, v.price_amount, v.price_currency, v.price_version, p.title
		FROM (SELECT DISTINCT sku FROM unnest((SELECT $1::text[])) AS sku) wanted,
			LATERAL (SELECT * FROM variant WHERE variant.sku = wanted.sku OFFSET 0) v,
			LATERAL (SELECT title FROM product WHERE id = v.product_id AND state = 'published' OFFSET 0) p`, r.GetSkus())
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &catalogv1.BatchGetVariantsResponse{}
	var v ent.Variant
	var productTitle string
	_, err = pgx.ForEachRow(rows, []any{&v.ID, &v.Title, &v.ProductID, &v.PriceAmount, &v.PriceCurrency, &v.PriceVersion, &productTitle}, func() error {
		answer.Variants = append(answer.Variants, variantMessage(&v, productTitle))
		return nil
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("load variants: %w", err))
	}
	return answer, nil
}

// inOrder loads variants as they were given.
func inOrder(q *ent.VariantQuery) { q.Order(variant.ByPosition()) }

// message maps a product and its variants.
func message(row *ent.Product) *catalogv1.Product {
	m := &catalogv1.Product{
		Id: row.ID, Title: row.Title, Description: row.Description, Category: row.Category, State: messageStates[state(row.State)],
		CreateTime: timestamppb.New(row.CreateTime), UpdateTime: timestamppb.New(row.UpdateTime),
	}
	for _, v := range row.Edges.Variants {
		m.Variants = append(m.Variants, variantMessage(v, row.Title))
	}
	return m
}

func variantMessage(row *ent.Variant, productTitle string) *catalogv1.Variant {
	return &catalogv1.Variant{
		Sku: row.ID, Title: row.Title, ProductId: row.ProductID, ProductTitle: productTitle, PriceVersion: row.PriceVersion,
		Price: &typev1.Money{Amount: row.PriceAmount, Currency: row.PriceCurrency},
	}
}
