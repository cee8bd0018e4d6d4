// Package schema holds the tables of the notifications module.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Message is something that is owed to somebody.
type Message struct{ ent.Schema }

func (Message) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "message"}}
}

func (Message) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("event_id").Immutable().Comment("why it is owed"),
		field.String("template").Immutable(),
		field.String("channel").Immutable(),
		field.String("recipient").Immutable().Comment("the id of a user, or of a guest"),
		field.String("about").Default("").Immutable().Comment("the order that it is about, by which a guest's address is found"),
		field.String("state"),
		field.String("subject").Immutable(),
		field.String("body").Immutable(),
		field.Bytes("origin").Optional().Immutable().Comment("of which business and trace the event is, as platform/rpc keeps it"),
		field.Time("next_time").Default(time.Now).Annotations(entsql.Default("now()")).Comment("when it is sent, or sent again, unless it is settled by then"),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (Message) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("next_time").Annotations(entsql.IndexWhere("state IN ('queued', 'sending')")),
		index.Fields("event_id", "template", "channel", "recipient").Unique(),
		index.Fields("recipient", "id"),
		// By their orders messages to guests alone are looked for, and those that have become nobody's by that.
		index.Fields("about").Annotations(entsql.IndexWhere("recipient = '' OR starts_with(recipient, 'gst_')")),
	}
}

// Mail is a message in the development mailbox. It is never changed, there as often as it was sent, and as long as the message is.
type Mail struct{ ent.Schema }

func (Mail) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "mail"}}
}

func (Mail) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.String("message_id").Immutable(),
		field.String("recipient").Immutable(),
		field.String("subject").Immutable(),
		field.String("body").Immutable(),
		field.Time("create_time").Immutable().Default(time.Now).Annotations(entsql.Default("now()")),
	}
}

func (Mail) Indexes() []ent.Index {
	return []ent.Index{index.Fields("message_id"), index.Fields("recipient")}
}
