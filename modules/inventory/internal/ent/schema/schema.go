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
		entsql.Annotation{Table: "stock", Checks: map[string]string{"stock_bounds": "reserved >= 0 AND reserved <= on_hand", "low_at_bounds": "low_at >= 0"}},
	}
}

func (Stock) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("sku").Immutable(),
		field.Int64("on_hand").Default(0),
		field.Int64("reserved").Default(0),
		field.Int64("low_at").Optional().Nillable().Comment("it is low when no more can be sold"),
		field.Bool("low").Default(false).Comment("a trigger keeps it true to the other columns"),
		field.Bool("told_low").Default(false).Comment("what the last event said"),
		field.Int64("tellings").Default(0).Comment("counts these events"),
	}
}

func (Stock) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("id").StorageKey("stock_low").Annotations(entsql.IndexWhere("low")),
		index.Fields("id").StorageKey("stock_untold").Annotations(entsql.IndexWhere("low <> told_low")),
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
		field.String("user_id").Immutable().Optional().Nillable().Comment("who changed it by hand"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (Movement) Indexes() []ent.Index { return []ent.Index{index.Fields("sku", "id")} }

// StockAudit is how far the comparison of the stock with its movements and reservations has got. There is one row.
type StockAudit struct{ ent.Schema }

func (StockAudit) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "stock_audit"}}
}

func (StockAudit) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Immutable(),
		field.String("position").Default("").Comment("the last SKU that was looked at"),
		field.Int64("checked").Default(0).Comment("SKUs of this pass"),
		field.Int64("drifted").Default(0).Comment("of those, which contradict"),
		field.Time("start_time").Optional().Nillable(),
		field.Time("end_time").Optional().Nillable().Comment("none while a pass is under way"),
	}
}

// StockDrift is a SKU whose figures contradict its movements or reservations, as the last audit found it.
type StockDrift struct{ ent.Schema }

func (StockDrift) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "stock_drift"}}
}

func (StockDrift) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("sku").Immutable(),
		field.Int64("on_hand"),
		field.Int64("moved").Comment("what should be on hand"),
		field.Int64("reserved"),
		field.Int64("held").Comment("what should be reserved"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
		field.Time("update_time").Default(time.Now).UpdateDefault(time.Now).Annotations(entsql.Default("now()")),
	}
}

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
