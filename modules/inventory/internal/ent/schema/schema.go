// Package schema holds the tables of the inventory module.
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

// Stock is how many pieces of a SKU there are, and how many of them are spoken for.
type Stock struct{ ent.Schema }

func (Stock) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "stock", Checks: map[string]string{"stock_bounds": "reserved >= 0 AND reserved <= on_hand"}},
	}
}

func (Stock) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("sku").Immutable(),
		field.Int64("on_hand").Default(0),
		field.Int64("reserved").Default(0),
	}
}

// Movement is one change of what is on hand. It is never changed or removed.
type Movement struct{ ent.Schema }

func (Movement) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "movement"}}
}

func (Movement) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.String("sku").Immutable(),
		field.Int64("delta").Immutable(),
		field.String("reason").Immutable().Default(""),
		field.String("reservation_id").Immutable().Optional().Nillable().Comment("whose pieces went or came back"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (Movement) Indexes() []ent.Index { return []ent.Index{index.Fields("sku", "id")} }

// Reservation is a claim on stock.
type Reservation struct{ ent.Schema }

func (Reservation) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "reservation"}}
}

func (Reservation) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("reference").Immutable(),
		field.String("state"),
		field.Time("expire_time"),
		field.Bool("extended").Default(false).Comment("a hold is made longer once"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (Reservation) Edges() []ent.Edge {
	return []ent.Edge{edge.To("lines", ReservationLine.Type)}
}

func (Reservation) Indexes() []ent.Index {
	return []ent.Index{index.Fields("expire_time").Annotations(entsql.IndexWhere("state = 'held'"))}
}

// ReservationLine is a number of pieces of one SKU in a reservation.
type ReservationLine struct{ ent.Schema }

func (ReservationLine) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "reservation_line", Checks: map[string]string{
			"quantity_positive": "quantity > 0",
			"pieces_bounds":     "shipped >= 0 AND withdrawn >= 0 AND shipped + withdrawn <= quantity AND returned >= 0 AND returned <= shipped",
		}},
	}
}

func (ReservationLine) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.String("reservation_id").Immutable(),
		field.String("sku").Immutable(),
		field.Int64("quantity").Immutable(),
		field.Int64("shipped").Default(0),
		field.Int64("returned").Default(0).Comment("of those that were shipped"),
		field.Int64("withdrawn").Default(0).Comment("given back while others were shipped or are going to be"),
	}
}

func (ReservationLine) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("reservation", Reservation.Type).Ref("lines").Field("reservation_id").Unique().Required().Immutable(),
	}
}

func (ReservationLine) Indexes() []ent.Index {
	return []ent.Index{index.Fields("reservation_id", "sku").Unique(), index.Fields("sku")}
}
