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

// ImportRun is a file of products, and how far it has got into the shop. Its table is called import, a word that Go does not give away.
type ImportRun struct{ ent.Schema }

func (ImportRun) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "import"}}
}

func (ImportRun) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("format").Immutable(),
		field.String("state"),
		field.Strings("columns").Default([]string{}).Annotations(entsql.DefaultExpr("'[]'::jsonb")).Comment("of a CSV, once it is started"),
		field.Int64("size").Default(0),
		field.Int64("position").Default(0).Comment("the bytes before it are done"),
		field.Int64("line").Default(0).Comment("the lines before the position"),
		field.Int64("rows").Default(0),
		field.Int64("failed_rows").Default(0),
		field.String("failure").Default(""),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
		field.Time("end_time").Optional().Nillable(),
	}
}

// ImportChunk is a piece of the file of an import. It is removed when the import has ended.
type ImportChunk struct{ ent.Schema }

func (ImportChunk) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "import_chunk"}}
}

func (ImportChunk) Fields() []ent.Field {
	return []ent.Field{
		field.String("import_id").Immutable(),
		field.Int64("start").Immutable().Comment("where in the file it begins"),
		field.Bytes("data").Immutable(),
	}
}

func (ImportChunk) Indexes() []ent.Index {
	return []ent.Index{index.Fields("import_id", "start").Unique()}
}

// ImportError is a row of a file that could not be taken.
type ImportError struct{ ent.Schema }

func (ImportError) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "import_error"}}
}

func (ImportError) Fields() []ent.Field {
	return []ent.Field{
		field.String("import_id").Immutable(),
		field.Int64("line").Immutable(),
		field.String("reason").Immutable(),
		field.String("message").Immutable(),
	}
}

func (ImportError) Indexes() []ent.Index {
	return []ent.Index{index.Fields("import_id", "line").Unique()}
}
