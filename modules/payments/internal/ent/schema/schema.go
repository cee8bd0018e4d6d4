// Package schema holds the tables of the payments module.
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

// Payment is one attempt to be paid.
type Payment struct{ ent.Schema }

func (Payment) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "payment", Checks: map[string]string{
			"amounts": "amount > 0 AND captured >= 0 AND captured <= amount AND refunded >= 0 AND refunded <= captured",
		}},
	}
}

func (Payment) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("reference").Immutable(),
		field.String("state"),
		field.Int64("amount").Immutable(),
		field.Int64("captured").Default(0),
		field.Int64("refunded").Default(0),
		field.String("currency").Immutable(),
		field.String("payment_method").Immutable().Sensitive(),
		field.String("caller").Immutable().Default("").Comment("which module asked for it"),
		field.String("request_id").Immutable().Default("").Comment("under which id, which a cancellation may name years later"),
		field.String("charge_id").Default("").Comment("the provider's id, once it is known"),
		field.String("decline_code").Default("").Comment("why the provider refused what it was asked last"),
		field.String("cancellation").Default("").Comment("requested: nothing shall be charged; refused: the provider would not have it; or empty"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
		field.Time("update_time").Default(time.Now).UpdateDefault(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (Payment) Edges() []ent.Edge { return []ent.Edge{edge.To("attempts", Attempt.Type)} }

func (Payment) Indexes() []ent.Index {
	return []ent.Index{
		// The last word against a second payment under an id whose first answer is not kept any more.
		index.Fields("caller", "request_id").Unique().Annotations(entsql.IndexWhere("request_id <> ''")),
	}
}

// Attempt is something that the provider is asked to do. It is written down, with the key that makes it happen once, before the
// provider is called.
type Attempt struct{ ent.Schema }

func (Attempt) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "attempt", Checks: map[string]string{"amount_positive": "amount > 0"}},
	}
}

func (Attempt) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().Comment("also the key that the provider gets"),
		field.String("payment_id").Immutable(),
		field.String("kind").Immutable().Comment("authorize, capture, void or refund"),
		field.Int64("amount").Immutable(),
		field.String("outcome").Comment("pending, unanswered, succeeded or refused"),
		field.String("decline_code").Default(""),
		field.Time("next_time").Optional().Nillable().Comment("when the provider is asked again, unless the outcome is known by then"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (Attempt) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("payment", Payment.Type).Ref("attempts").Field("payment_id").Unique().Required().Immutable(),
	}
}

func (Attempt) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("payment_id"),
		index.Fields("next_time").Annotations(entsql.IndexWhere("next_time IS NOT NULL")),
		// The last word against a double capture: what was not refused is tried once.
		index.Fields("payment_id", "kind").Unique().Annotations(entsql.IndexWhere("kind <> 'refund' AND outcome <> 'refused'")),
	}
}

// LedgerEntry is one side of what an attempt has moved. The entries of one attempt are written by one statement, sum up to nothing, and
// are never changed or removed: the database sees to all three.
type LedgerEntry struct{ ent.Schema }

func (LedgerEntry) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "ledger_entry", Checks: map[string]string{"amount_moves": "amount <> 0"}},
	}
}

func (LedgerEntry) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.String("attempt_id").Immutable().Comment("what moved the money: the transaction of the ledger"),
		field.String("account").Immutable(),
		field.Int64("amount").Immutable().Comment("a debit is positive, a credit negative"),
		field.String("currency").Immutable(),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

// An attempt moves money once.
func (LedgerEntry) Indexes() []ent.Index {
	return []ent.Index{index.Fields("attempt_id", "account").Unique()}
}
