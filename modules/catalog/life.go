package catalog

import (
	"context"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

// What becomes of one product.

func (s *service) CreateProduct(ctx context.Context, r *catalogv1.CreateProductRequest) (*catalogv1.CreateProductResponse, error) {
	given := &catalogv1.Product{}
	for _, path := range updatable {
		take(path, given, r.GetProduct())
	}
	given.State = messageStates[draft]
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*catalogv1.CreateProductResponse, error) {
		made, err := s.put(ctx, tx, newChange(id.New("prd"), nil, proto.CloneOf(given)))
		return &catalogv1.CreateProductResponse{Product: made}, err
	})
}

func (s *service) UpdateProduct(ctx context.Context, r *catalogv1.UpdateProductRequest) (answer *catalogv1.UpdateProductResponse, err error) {
	paths, err := masked(r)
	if err != nil {
		return nil, err
	}
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*catalogv1.UpdateProductResponse, error) {
		changed, err := s.alter(ctx, tx, r.GetId(), r.GetProduct().GetEtag(), func(after *catalogv1.Product) error {
			for _, path := range paths {
				take(path, after, r.GetProduct())
			}
			return nil
		})
		return &catalogv1.UpdateProductResponse{Product: changed}, err
	})
}

func (s *service) PublishProduct(ctx context.Context, r *catalogv1.PublishProductRequest) (*catalogv1.PublishProductResponse, error) {
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*catalogv1.PublishProductResponse, error) {
		changed, err := s.alter(ctx, tx, r.GetId(), r.GetEtag(), become(published))
		return &catalogv1.PublishProductResponse{Product: changed}, err
	})
}

func (s *service) ArchiveProduct(ctx context.Context, r *catalogv1.ArchiveProductRequest) (*catalogv1.ArchiveProductResponse, error) {
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*catalogv1.ArchiveProductResponse, error) {
		changed, err := s.alter(ctx, tx, r.GetId(), r.GetEtag(), become(archived))
		return &catalogv1.ArchiveProductResponse{Product: changed}, err
	})
}

// become brings a product into a state.
func become(next state) func(*catalogv1.Product) error {
	return func(p *catalogv1.Product) error {
		if was := stateOf(p.GetState(), draft); !was.canBecome(next) {
			return rpc.Errorf(connect.CodeFailedPrecondition, p.GetState().String(), "product %s is %s and cannot become %s", p.GetId(), was, next)
		}
		p.State = messageStates[next]
		return nil
	}
}

// alter reads a product, lets fn change it, writes it, and returns it as it is then. An etag that is not empty must be the product's.
func (s *service) alter(ctx context.Context, tx tx, id, etag string, fn func(*catalogv1.Product) error) (*catalogv1.Product, error) {
	lockWriters(tx)
	found, err := load(ctx, tx, []string{id})
	if err != nil {
		return nil, err
	}
	before := found[id]
	if before == nil {
		return nil, rpc.NotFound("product", id)
	}
	if etag != "" && etag != before.GetEtag() {
		return nil, rpc.Errorf(connect.CodeAborted, "ETAG_MISMATCH", "product %s has changed since it had the etag %q: read it again", id, etag)
	}
	after := proto.CloneOf(before)
	if err := fn(after); err != nil {
		return nil, err
	}
	return s.put(ctx, tx, newChange(id, before, after))
}

// put writes one product, whose SKUs must be nobody else's, and returns it as it is then.
func (s *service) put(ctx context.Context, tx tx, c change) (*catalogv1.Product, error) {
	if err := distinctSKUs([]*catalogv1.Product{c.after}, func(int) string { return "product." }); err != nil {
		return nil, err
	}
	lockWriters(tx)
	owner, err := owners(ctx, tx, skusOf(c.after))
	if err != nil {
		return nil, err
	}
	for _, sku := range skusOf(c.after) {
		if held, ok := owner[sku]; ok && held != c.after.GetId() {
			return nil, rpc.Errorf(connect.CodeAlreadyExists, "SKU_TAKEN", "product %s has the SKU %q", held, sku)
		}
	}
	if err := s.write(ctx, tx, []change{c}); err != nil {
		return nil, err
	}
	written, err := load(ctx, tx, []string{c.after.GetId()})
	return written[c.after.GetId()], err
}

// updatable are the fields of a product that its writer decides.
var updatable = []string{"title", "description", "category", "images", "variants"}

// take sets a field of one product to that of another.
func take(path string, into, from *catalogv1.Product) {
	switch path {
	case "title":
		into.Title = from.GetTitle()
	case "description":
		into.Description = from.GetDescription()
	case "category":
		into.Category = from.GetCategory()
	case "images":
		into.Images = from.GetImages()
	case "variants":
		into.Variants = nil
		for _, v := range from.GetVariants() {
			into.Variants = append(into.Variants, &catalogv1.Variant{Sku: v.GetSku(), Title: v.GetTitle(), Price: v.GetPrice()})
		}
	}
}

// masked returns the fields that an update changes (AIP-134).
func masked(r *catalogv1.UpdateProductRequest) ([]string, error) {
	paths, p := r.GetUpdateMask().GetPaths(), r.GetProduct()
	set := map[string]bool{
		"title": p.GetTitle() != "", "description": p.GetDescription() != "", "category": p.GetCategory() != "",
		"images": len(p.GetImages()) > 0, "variants": len(p.GetVariants()) > 0,
	}
	switch {
	case slices.Equal(paths, []string{"*"}):
		paths = updatable
	case len(paths) == 0:
		for _, path := range updatable {
			if set[path] {
				paths = append(paths, path)
			}
		}
	}
	for _, path := range paths {
		if !slices.Contains(updatable, path) {
			return nil, rpc.Errorf(connect.CodeInvalidArgument, "UPDATE_MASK", "update_mask: %q is not among the fields that can be changed, which are %v", path, updatable)
		}
		if (path == "title" || path == "variants") && !set[path] {
			return nil, rpc.Errorf(connect.CodeInvalidArgument, "UPDATE_MASK", "product.%s: must not be empty", path)
		}
	}
	return paths, nil
}
