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
		field.String("charge_id").Default("").Comment("the provider's id, once it is known"),
		field.String("decline_code").Default("").Comment("why the provider refused what it was asked last"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
		field.Time("update_time").Default(time.Now).UpdateDefault(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (Payment) Edges() []ent.Edge { return []ent.Edge{edge.To("attempts", Attempt.Type)} }

func (Payment) Indexes() []ent.Index { return []ent.Index{index.Fields("reference")} }

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
		// The last word against a double capture: what was not refused is tried once.
		index.Fields("payment_id", "kind").Unique().Annotations(entsql.IndexWhere("kind <> 'refund' AND outcome <> 'refused'")),
	}
}

// SandboxCharge is what the sandbox provider knows of a charge. The provider's tables are its own: payments reads them only through
// the provider.
type SandboxCharge struct{ ent.Schema }

func (SandboxCharge) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "sandbox_charge", Checks: map[string]string{
			"amounts": "captured >= 0 AND captured <= amount AND refunded >= 0 AND refunded <= captured",
		}},
	}
}

func (SandboxCharge) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("reference").Immutable(),
		field.String("payment_method").Immutable().Comment("the token, which is also the script"),
		field.String("status").Comment("authorized, captured, voided or declined"),
		field.Int64("amount").Immutable(),
		field.Int64("captured").Default(0),
		field.Int64("refunded").Default(0),
		field.String("currency").Immutable(),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

// SandboxRequest is the first half of the sandbox provider's log: what it was asked, each time that it was asked. It is never changed
// or removed.
type SandboxRequest struct{ ent.Schema }

func (SandboxRequest) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "sandbox_request"}}
}

func (SandboxRequest) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.String("key").Immutable(),
		field.String("kind").Immutable(),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (SandboxRequest) Indexes() []ent.Index { return []ent.Index{index.Fields("key")} }

// SandboxOperation is the second half of the sandbox provider's log: what it did under which key, and what came of it. It is never
// changed or removed.
type SandboxOperation struct{ ent.Schema }

func (SandboxOperation) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "sandbox_operation"}}
}

func (SandboxOperation) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("key").Immutable().Comment("the idempotency key"),
		field.String("kind").Immutable(),
		field.String("charge_id").Immutable(),
		field.Int64("amount").Immutable(),
		field.String("outcome").Immutable().Comment("succeeded, or why not"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (SandboxOperation) Indexes() []ent.Index { return []ent.Index{index.Fields("charge_id")} }
