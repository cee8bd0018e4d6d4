package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

func (s *service) BatchUpsertProducts(ctx context.Context, r *catalogv1.BatchUpsertProductsRequest) (answer *catalogv1.BatchUpsertProductsResponse, err error) {
	var given []*catalogv1.Product
	for _, p := range r.GetProducts() {
		given = append(given, productOf(p))
	}
	if err := distinctSKUs(given, func(i int) string { return fmt.Sprintf("products[%d].", i) }); err != nil {
		return nil, err
	}
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*catalogv1.BatchUpsertProductsResponse, error) {
		changes, err := match(ctx, tx, given)
		if err != nil {
			return nil, err
		}
		answer := &catalogv1.BatchUpsertProductsResponse{}
		for i, c := range changes {
			if c.wrong != nil {
				return nil, rpc.Errorf(connect.CodeFailedPrecondition, c.wrong.reason, "products[%d]: %s", i, c.wrong.text)
			}
			if first := slices.Index(answer.GetProductIds(), c.after.GetId()); first >= 0 {
				return nil, rpc.Errorf(connect.CodeFailedPrecondition, "PRODUCT_TWICE",
					"products[%d]: its SKUs belong to the product that products[%d] replaces: take them out of that one first", i, first)
			}
			answer.ProductIds = append(answer.ProductIds, c.after.GetId())
		}
		return answer, s.write(ctx, tx, valid(changes))
	})
}

// productOf returns the product that is to be upserted. It has no id yet, and no state if none was given.
func productOf(u *catalogv1.UpsertProduct) *catalogv1.Product {
	p := &catalogv1.Product{Title: u.GetTitle(), Description: u.GetDescription(), Category: u.GetCategory(), State: u.GetState(), Images: u.GetImages()}
	for _, v := range u.GetVariants() {
		p.Variants = append(p.Variants, &catalogv1.Variant{Sku: v.GetSku(), Title: v.GetTitle(), Price: v.GetPrice()})
	}
	return p
}

// distinctSKUs refuses SKUs that are given twice. Where says how the error names a product.
func distinctSKUs(products []*catalogv1.Product, where func(i int) string) error {
	seen := map[string]bool{}
	for i, p := range products {
		for j, v := range p.GetVariants() {
			if seen[v.GetSku()] {
				return rpc.Errorf(connect.CodeInvalidArgument, "SKU_TWICE", "%svariants[%d].sku: %q is given twice", where(i), j, v.GetSku())
			}
			seen[v.GetSku()] = true
		}
	}
	return nil
}

// matched is what becomes of one of the given products, or why nothing does.
type matched struct {
	change
	wrong *refusal
}

// refusal is why a product cannot be what it shall be, for machines and for people.
type refusal struct{ reason, text string }

func valid(all []matched) (changes []change) {
	for _, m := range all {
		if m.wrong == nil {
			changes = append(changes, m.change)
		}
	}
	return changes
}

// match finds out which products the given ones replace, which their SKUs tell, and locks out other writers. None may be given twice.
func match(ctx context.Context, tx tx, given []*catalogv1.Product) ([]matched, error) {
	var skus []string
	for _, p := range given {
		skus = append(skus, skusOf(p)...)
	}
	lockWriters(tx)
	owner, err := owners(ctx, tx, skus)
	if err != nil {
		return nil, err
	}
	before, err := load(ctx, tx, slices.Compact(slices.Sorted(maps.Values(owner))))
	if err != nil {
		return nil, err
	}
	all := make([]matched, len(given))
	for i, p := range given {
		productID, several := ownerOf(p, owner)
		if several {
			all[i].wrong = &refusal{"SKUS_OF_SEVERAL_PRODUCTS", "its SKUs belong to several products"}
			continue
		}
		p, old := proto.CloneOf(p), before[productID] // The transaction may be run again.
		if old == nil {
			productID = id.New("prd")
			p.State = messageStates[stateOf(p.GetState(), published)]
		} else {
			was := stateOf(old.GetState(), draft)
			next := stateOf(p.GetState(), was)
			if next != was && !was.canBecome(next) {
				all[i].wrong = &refusal{old.GetState().String(), fmt.Sprintf("product %s is %s and cannot become %s", productID, was, next)}
				continue
			}
			p.State = messageStates[next]
		}
		all[i].change = newChange(productID, old, p)
	}
	return all, nil
}

// ownerOf returns the id of the product that holds the SKUs, "" if none does, and whether there are several.
func ownerOf(p *catalogv1.Product, owner map[string]string) (id string, several bool) {
	for _, v := range p.GetVariants() {
		held, ok := owner[v.GetSku()]
		if ok && id != "" && held != id {
			return "", true
		}
		if ok {
			id = held
		}
	}
	return id, false
}
