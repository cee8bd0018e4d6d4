package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent/product"
	"github.com/cleave-go/cleave/modules/catalog/internal/ent/variant"
)

// Where products are read and written.

// inOrder loads variants as they were given.
func inOrder(q *ent.VariantQuery) { q.Order(variant.ByPosition()) }

// message maps a product and its variants.
func message(row *ent.Product) *catalogv1.Product {
	m := &catalogv1.Product{
		Id: row.ID, Title: row.Title, Description: row.Description, Category: row.Category, State: messageStates[state(row.State)],
		Images: row.Images, Etag: strconv.FormatInt(row.Version, 10),
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

// versionOf returns the version of a product that was read; 0 of none.
func versionOf(p *catalogv1.Product) int64 {
	version, _ := strconv.ParseInt(p.GetEtag(), 10, 64) // It was written by message.
	return version
}

// lockWriters lets one transaction at a time write products: a SKU that is not there yet has no row that could be locked, and two would
// make a product each for it. It is held for milliseconds, because nothing but writing is done meanwhile.
func lockWriters(tx tx) {
	tx.Defer("SELECT pg_advisory_xact_lock(hashtextextended('catalog upsert', 0))")
}

// load returns products by their ids. Those that are not there are missing.
func load(ctx context.Context, tx tx, ids []string) (map[string]*catalogv1.Product, error) {
	found := map[string]*catalogv1.Product{}
	if len(ids) == 0 {
		return found, nil
	}
	rows, err := tx.Ent.Product.Query().Where(product.IDIn(ids...)).WithVariants(inOrder).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load %d products: %w", len(ids), err)
	}
	for _, row := range rows {
		found[row.ID] = message(row)
	}
	return found, nil
}

// owners returns which products hold the SKUs.
func owners(ctx context.Context, tx tx, skus []string) (map[string]string, error) {
	// A plan that is kept from when there were few products must not read all of them for each batch of an import: OFFSET keeps it to the index.
	rows, err := tx.Query(ctx, `SELECT sku, product_id FROM unnest($1::text[]) AS given (sku),
		LATERAL (SELECT product_id FROM variant WHERE variant.sku = given.sku OFFSET 0) AS found`, skus)
	if err != nil {
		return nil, fmt.Errorf("load the owners of %d SKUs: %w", len(skus), err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var sku, id string
		if err := rows.Scan(&sku, &id); err != nil {
			return nil, fmt.Errorf("load the owners of %d SKUs: %w", len(skus), err)
		}
		found[sku] = id
	}
	return found, rows.Err()
}

// write carries out changes, and publishes their events. The caller has locked out other writers before he read what was. Nothing is waited
// for: it goes to the database with what comes next. There may be hundreds of changes, so the rows are written in bulk.
func (s *service) write(ctx context.Context, tx tx, changes []change) error {
	var ids, titles, descriptions, categories, states, images []string
	var versions []int64
	var searched []string
	var removed, skus, owners, variantTitles, currencies []string
	var amounts, priceVersions, positions []int64
	for _, c := range changes {
		if c.nothing() {
			continue
		}
		p := c.after
		version := versionOf(c.before)
		events := c.events()
		for _, event := range events {
			version++
			if err := s.events.Publish(ctx, tx.Tx, p.GetId(), version, event); err != nil {
				return err
			}
		}
		if len(events) == 0 {
			version++
		}
		list, err := json.Marshal(append([]string{}, p.GetImages()...))
		if err != nil {
			return fmt.Errorf("encode the images of %s: %w", p.GetId(), err)
		}
		ids, titles, descriptions = append(ids, p.GetId()), append(titles, p.GetTitle()), append(descriptions, p.GetDescription())
		categories, states = append(categories, p.GetCategory()), append(states, string(stateOf(p.GetState(), draft)))
		images, versions = append(images, string(list)), append(versions, version)
		if c.searched() {
			searched = append(searched, p.GetId())
		}
		kept := skusOf(p)
		removed = append(removed, slices.DeleteFunc(skusOf(c.before), func(sku string) bool { return slices.Contains(kept, sku) })...)
		for position, v := range p.GetVariants() {
			skus, owners, variantTitles = append(skus, v.GetSku()), append(owners, p.GetId()), append(variantTitles, v.GetTitle())
			amounts, currencies = append(amounts, v.GetPrice().GetAmount()), append(currencies, v.GetPrice().GetCurrency())
			priceVersions, positions = append(priceVersions, v.GetPriceVersion()), append(positions, int64(position))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	tx.Defer(`INSERT INTO product (id, title, description, category, state, images, version)
		SELECT id, title, description, category, state, images::jsonb, version
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[]) AS given (id, title, description, category, state, images, version)
		ON CONFLICT (id) DO UPDATE SET title = excluded.title, description = excluded.description, category = excluded.category, state = excluded.state,
			images = excluded.images, version = excluded.version, update_time = now()`, ids, titles, descriptions, categories, states, images, versions)
	if len(removed) > 0 {
		tx.Defer("DELETE FROM variant WHERE sku = ANY($1)", removed)
	}
	tx.Defer(`INSERT INTO variant (sku, product_id, title, price_amount, price_currency, price_version, position)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])
		ON CONFLICT (sku) DO UPDATE SET product_id = excluded.product_id, title = excluded.title, price_amount = excluded.price_amount,
			price_currency = excluded.price_currency, price_version = excluded.price_version, position = excluded.position`,
		skus, owners, variantTitles, amounts, currencies, priceVersions, positions)
	if len(searched) > 0 {
		tx.Defer("SELECT index_products($1)", searched)
	}
	return nil
}
