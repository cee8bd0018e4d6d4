package catalog

import (
	"context"
	"fmt"
	"log/slog"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent/predicate"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent/product"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// service implements CatalogService and ImportService: a transaction per method.
type service struct {
	store  *db.Store[*ent.Client]
	events *event.Events
	log    *slog.Logger
	// nudgeImports has imports that are running looked for at once.
	nudgeImports func()
}

type tx = db.Tx[*ent.Client]

func (s *service) GetProduct(ctx context.Context, r *catalogv1.GetProductRequest) (*catalogv1.GetProductResponse, error) {
	found, err := s.get(ctx, r.GetId(), product.State(string(published)))
	return &catalogv1.GetProductResponse{Product: found}, err
}

func (s *service) ListProducts(ctx context.Context, r *catalogv1.ListProductsRequest) (*catalogv1.ListProductsResponse, error) {
	filter := []predicate.Product{product.State(string(published))}
	if r.GetCategory() != "" {
		filter = append(filter, product.Category(r.GetCategory()))
	}
	products, next, err := s.list(ctx, r.GetPageSize(), r.GetPageToken(), r.GetCategory(), filter...)
	return &catalogv1.ListProductsResponse{Products: products, NextPageToken: next}, err
}

func (s *service) InspectProduct(ctx context.Context, r *catalogv1.InspectProductRequest) (*catalogv1.InspectProductResponse, error) {
	found, err := s.get(ctx, r.GetId())
	return &catalogv1.InspectProductResponse{Product: found}, err
}

func (s *service) InspectProducts(ctx context.Context, r *catalogv1.InspectProductsRequest) (*catalogv1.InspectProductsResponse, error) {
	var filter []predicate.Product
	if r.GetState() != catalogv1.ProductState_PRODUCT_STATE_UNSPECIFIED {
		filter = append(filter, product.State(string(stateOf(r.GetState(), draft))))
	}
	products, next, err := s.list(ctx, r.GetPageSize(), r.GetPageToken(), r.GetState().String(), filter...)
	return &catalogv1.InspectProductsResponse{Products: products, NextPageToken: next}, err
}

// get returns a product that meets the filter.
func (s *service) get(ctx context.Context, id string, filter ...predicate.Product) (*catalogv1.Product, error) {
	row, err := s.store.Ent.Product.Query().Where(product.ID(id)).Where(filter...).WithVariants(inOrder).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("product", id)
	}
	if err != nil {
		return nil, db.Unavailable(err)
	}
	return message(row), nil
}

// list returns a page of the products that meet the filter, and the token of the next page. The tag stands for the filter in tokens.
func (s *service) list(ctx context.Context, pageSize int32, token, tag string, filter ...predicate.Product) (products []*catalogv1.Product, next string, err error) {
	size := page.Size(pageSize)
	after, err := page.Decode(token, tag)
	if err != nil {
		return nil, "", connect.NewError(connect.CodeInvalidArgument, err)
	}
	rows, err := s.store.Ent.Product.Query().Where(product.IDGT(after)).Where(filter...).Order(product.ByID()).Limit(size + 1).WithVariants(inOrder).All(ctx)
	if err != nil {
		return nil, "", db.Unavailable(err)
	}
	rows, next = page.Cut(rows, size, tag, func(row *ent.Product) string { return row.ID })
	for _, row := range rows {
		products = append(products, message(row))
	}
	return products, next, nil
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
