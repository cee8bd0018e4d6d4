// Package schema holds the tables of the catalog module.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Product is something that the shop sells.
type Product struct{ ent.Schema }

func (Product) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "product"}}
}

func (Product) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("title"),
		field.Text("description").Default(""),
		field.String("category").Default(""),
		field.String("state"),
		field.Strings("images").Default([]string{}).Annotations(entsql.DefaultExpr("'[]'::jsonb")),
		field.Int64("version").Default(1).Comment("counts its changes, and the events that told of them"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
		field.Time("update_time").Default(time.Now).UpdateDefault(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (Product) Edges() []ent.Edge {
	return []ent.Edge{edge.To("variants", Variant.Type)}
}

func (Product) Indexes() []ent.Index {
	return []ent.Index{index.Fields("state", "id"), index.Fields("state", "category", "id")}
}

// Variant is what one buys, under its SKU.
type Variant struct{ ent.Schema }

func (Variant) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "variant", Checks: map[string]string{"price_not_negative": "price_amount >= 0"}},
	}
}

func (Variant) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("sku").Immutable(),
		field.String("product_id"),
		field.String("title").Default(""),
		field.Int64("price_amount"),
		field.String("price_currency"),
		field.Int64("price_version").Default(1),
		field.Int("position").Default(0),
	}
}

func (Variant) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("product", Product.Type).Ref("variants").Field("product_id").Unique().Required(),
	}
}

func (Variant) Indexes() []ent.Index {
	return []ent.Index{index.Fields("product_id", "position")}
}
