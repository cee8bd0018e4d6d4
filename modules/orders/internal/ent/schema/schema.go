// Package schema holds the tables of the orders module.
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

// now is the time as PostgreSQL keeps it, to the microsecond, so that what a method answers is what can be read later.
func now() time.Time { return time.Now().Truncate(time.Microsecond) }

// Cart is what a customer wants.
type Cart struct{ ent.Schema }

func (Cart) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "cart"}}
}

func (Cart) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("user_id").Immutable(),
		field.String("state"),
		field.Time("create_time").Immutable().Default(now).Annotations(entsql.Default("now()")),
		field.Time("update_time").Default(now).UpdateDefault(now).Annotations(entsql.Default("now()")),
	}
}

func (Cart) Edges() []ent.Edge { return []ent.Edge{edge.To("items", CartItem.Type)} }

func (Cart) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "id"),
		// Finds those that were left behind. It is not on update_time, which changes with every item.
		index.Fields("create_time").Annotations(entsql.IndexWhere("state = 'active'")),
	}
}

// CartItem is a number of pieces of one SKU in a cart.
type CartItem struct{ ent.Schema }

func (CartItem) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "cart_item", Checks: map[string]string{"quantity_positive": "quantity > 0"}},
	}
}

func (CartItem) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.String("cart_id").Immutable(),
		field.String("sku").Immutable(),
		field.Int64("quantity"),
	}
}

func (CartItem) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("cart", Cart.Type).Ref("items").Field("cart_id").Unique().Required().Immutable(),
	}
}

func (CartItem) Indexes() []ent.Index { return []ent.Index{index.Fields("cart_id", "sku").Unique()} }

// Line is a line of a quote or of an order. Both keep their lines as a document, because a line is never looked for nor changed.
type Line struct {
	SKU          string `json:"sku"`
	ProductID    string `json:"product_id,omitempty"` // Lines that are older than it have none.
	Title        string `json:"title"`
	Quantity     int64  `json:"quantity"`
	UnitAmount   int64  `json:"unit_amount"`
	PriceVersion int64  `json:"price_version"`
	// Its share of the discount, and the tax on what is left then.
	Discount int64 `json:"discount,omitempty"`
	Tax      int64 `json:"tax,omitempty"`
}

// Charges are what makes the total of a quote or of an order of the price of its lines. There are none in rows that are older than them.
type Charges struct {
	Discount   int64  `json:"discount,omitempty"`
	Tax        int64  `json:"tax,omitempty"`
	Shipping   int64  `json:"shipping,omitempty"`
	CouponID   string `json:"coupon_id,omitempty"`
	CouponCode string `json:"coupon_code,omitempty"`
}

// Quote is what a cart costs, for a while.
type Quote struct{ ent.Schema }

func (Quote) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "quote"}}
}

func (Quote) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("cart_id").Immutable(),
		field.String("user_id").Immutable(),
		field.JSON("lines", []Line{}).Immutable(),
		field.Int64("total").Immutable(),
		field.String("currency").Immutable(),
		field.Time("expire_time").Immutable(),
		field.JSON("charges", Charges{}).Immutable().Default(Charges{}).Annotations(entsql.DefaultExpr("'{}'::jsonb")),
	}
}

func (Quote) Indexes() []ent.Index { return []ent.Index{index.Fields("expire_time")} }

// Order is what a customer has bought, or tried to.
type Order struct{ ent.Schema }

func (Order) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "order", Checks: map[string]string{"total_not_negative": "total >= 0"}},
	}
}

func (Order) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("user_id").Comment("a guest's until an account claims it"),
		field.String("quote_id").Immutable().Unique().Comment("a quote can be ordered once"),
		field.String("state"),
		field.String("reason").Default("").Comment("why it is rejected or cancelled; set before anything is undone"),
		field.JSON("lines", []Line{}).Immutable(),
		field.Int64("total").Immutable(),
		field.String("currency").Immutable(),
		field.String("payment_method").Immutable().Sensitive(),
		field.String("reservation_id").Default(""),
		field.String("payment_id").Default(""),
		field.Int64("sequence").Default(1),
		field.Bool("open").Default(false).Comment("whether its checkout is under way; without it an order of an earlier release counts as not"),
		field.JSON("charges", Charges{}).Immutable().Default(Charges{}).Annotations(entsql.DefaultExpr("'{}'::jsonb")),
		field.Time("create_time").Immutable().Default(now).Annotations(entsql.Default("now()")),
		field.Time("update_time").Default(now).UpdateDefault(now).Annotations(entsql.Default("now()")),
	}
}

func (Order) Edges() []ent.Edge { return []ent.Edge{edge.To("transitions", Transition.Type)} }

func (Order) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "id"),
		// Counts what a customer has open. It is on none of the columns that a step of the checkout changes, so that those stay cheap (HOT).
		index.Fields("user_id").StorageKey("order_open").Annotations(entsql.IndexWhere("open")),
	}
}

// Contact is where a guest is written to about an order. It is in no other table of the module, so that it can be erased here.
type Contact struct{ ent.Schema }

func (Contact) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "contact"}}
}

func (Contact) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("order_id").Immutable(),
		field.String("email").Immutable().Sensitive().Comment("in small letters"),
		field.Time("create_time").Immutable().Default(now).Annotations(entsql.Default("now()")),
	}
}

func (Contact) Indexes() []ent.Index { return []ent.Index{index.Fields("email")} }

// Transition is one change of an order: an entry of its log. It is never changed or removed, for which the database sees.
type Transition struct{ ent.Schema }

func (Transition) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "transition"}}
}

func (Transition) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.String("order_id").Immutable(),
		field.Int64("sequence").Immutable(),
		field.String("state").Immutable().Comment("empty if it stays; and so for the next three"),
		field.String("reason").Immutable().Default(""),
		field.String("reservation_id").Immutable().Default(""),
		field.String("payment_id").Immutable().Default(""),
		field.String("note").Immutable().Default(""),
		field.Time("create_time").Immutable().Default(now).Annotations(entsql.Default("now()")),
	}
}

func (Transition) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("order", Order.Type).Ref("transitions").Field("order_id").Unique().Required().Immutable(),
	}
}

func (Transition) Indexes() []ent.Index {
	return []ent.Index{index.Fields("order_id", "sequence").Unique()}
}

// Pieces are a number of pieces of a line of an order.
type Pieces struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Fulfillment is a parcel: pieces of an order that have left the house.
type Fulfillment struct{ ent.Schema }

func (Fulfillment) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "fulfillment"}}
}

func (Fulfillment) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("order_id").Immutable(),
		field.JSON("lines", []Pieces{}).Immutable(),
		field.String("tracking_code").Immutable().Default(""),
		field.Time("create_time").Immutable().Default(now).Annotations(entsql.Default("now()")),
	}
}

func (Fulfillment) Indexes() []ent.Index { return []ent.Index{index.Fields("order_id", "id").Unique()} }

// Reversal is that pieces of an order came back or are not sent, and what was paid for them goes back.
type Reversal struct{ ent.Schema }

func (Reversal) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Annotation{Table: "reversal", Checks: map[string]string{"refund_not_negative": "refund >= 0"}},
	}
}

func (Reversal) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("order_id").Immutable(),
		field.String("kind").Immutable(),
		field.String("state"),
		field.JSON("lines", []Pieces{}).Immutable(),
		field.Bool("discard").Immutable(),
		field.String("reason").Immutable().Default(""),
		field.Int64("refund").Immutable().Comment("in the currency of the order"),
		field.Time("create_time").Immutable().Default(now).Annotations(entsql.Default("now()")),
	}
}

func (Reversal) Indexes() []ent.Index { return []ent.Index{index.Fields("order_id", "id").Unique()} }

// Coupon takes something off the price of an order.
type Coupon struct{ ent.Schema }

func (Coupon) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "coupon", Checks: map[string]string{
		"uses_bounds": "uses >= 0 AND (max_uses = 0 OR uses <= max_uses)",
		"worth":       "(percent > 0 AND percent <= 100 AND amount = 0) OR (percent = 0 AND amount > 0)",
	}}}
}

func (Coupon) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("code").Immutable().Unique(),
		field.Int32("percent").Immutable().Default(0),
		field.Int64("amount").Immutable().Default(0),
		field.String("currency").Immutable().Default("").Comment("of the amount"),
		field.Int64("max_uses").Immutable().Default(0),
		field.Int64("max_uses_per_customer").Immutable().Default(0),
		field.Int64("uses").Default(0).Comment("how many orders have it; counted under its lock"),
		field.Time("start_time").Immutable().Optional().Nillable(),
		field.Time("end_time").Immutable().Optional().Nillable(),
		field.Bool("disabled").Default(false),
		field.Time("create_time").Immutable().Default(now).Annotations(entsql.Default("now()")),
	}
}

// CouponUse is that an order has a coupon.
type CouponUse struct{ ent.Schema }

func (CouponUse) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "coupon_use"}}
}

func (CouponUse) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").StorageKey("order_id").Immutable(),
		field.String("coupon_id").Immutable(),
		field.String("user_id").Immutable(),
	}
}

func (CouponUse) Indexes() []ent.Index { return []ent.Index{index.Fields("coupon_id", "user_id")} }
