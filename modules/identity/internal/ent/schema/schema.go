// Package schema holds the tables of the identity module. Secrets are in none of them, but for the private halves of the signing keys: what
// a cookie, a code or a token says is kept as its SHA-256.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

func table(name string) []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: name}}
}

// now is a time that the database sets when the row is written.
func now(name string) ent.Field {
	return field.Time(name).Immutable().Default(time.Now).Annotations(entsql.Default("now()"))
}

// Account is a person who can sign in.
type Account struct{ ent.Schema }

func (Account) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "account", Checks: map[string]string{
		"erased_is_nobody": "state <> 'erased' OR (email IS NULL AND name = '' AND password_hash = '')",
	}}}
}

func (Account) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("state"),
		field.String("email").Optional().Nillable().Comment("in small letters; null when the person is forgotten"),
		field.Bool("email_verified").Default(false),
		field.String("name").Default(""),
		field.String("language").Default("").Comment("of mails and pages; empty for what the browser prefers"),
		field.String("password_hash").Default("").Sensitive(),
		field.Strings("roles"),
		now("create_time"),
	}
}

func (Account) Indexes() []ent.Index { return []ent.Index{index.Fields("email").Unique()} }

// Session is a browser in which somebody has signed in.
type Session struct{ ent.Schema }

func (Session) Annotations() []schema.Annotation { return table("session") }

func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.Bytes("hash").Sensitive().Comment("of what its cookie says"),
		field.String("account_id").Immutable(),
		field.String("device").Immutable().Comment("what the browser calls itself, in few words"),
		now("create_time"),
		field.Time("expire_time").Immutable(),
	}
}

func (Session) Indexes() []ent.Index {
	return []ent.Index{index.Fields("hash").Unique(), index.Fields("account_id"), index.Fields("expire_time")}
}

// App is a program that asks for tokens.
type App struct{ ent.Schema }

func (App) Annotations() []schema.Annotation { return table("client") }

func (App) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("name"),
		field.Bytes("secret_hash").Optional().Sensitive(),
		field.Strings("redirect_uris"),
		field.Strings("scopes"),
		field.Strings("roles"),
		field.Bool("trusted"),
		now("create_time"),
	}
}

// Consent is what a person has allowed a client.
type Consent struct{ ent.Schema }

func (Consent) Annotations() []schema.Annotation { return table("consent") }

func (Consent) Fields() []ent.Field {
	return []ent.Field{
		field.String("account_id").Immutable(),
		field.String("client_id").Immutable(),
		field.Strings("scopes"),
		now("create_time"),
	}
}

func (Consent) Indexes() []ent.Index {
	return []ent.Index{index.Fields("account_id", "client_id").Unique()}
}

// Family is all the tokens that come of one sign-in at one client. They end together.
type Family struct{ ent.Schema }

func (Family) Annotations() []schema.Annotation { return table("family") }

func (Family) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("client_id").Immutable(),
		field.String("account_id").Immutable(),
		field.String("session_id").Immutable(),
		field.Strings("scopes").Immutable(),
		field.String("nonce").Immutable(),
		field.Time("auth_time").Immutable().Comment("when the person signed in"),
		now("create_time"),
		field.Time("expire_time").Immutable(),
		field.Time("end_time").Optional().Nillable().Comment("when it was ended before that"),
	}
}

func (Family) Indexes() []ent.Index {
	return []ent.Index{index.Fields("account_id"), index.Fields("session_id"), index.Fields("expire_time")}
}

// Code is what a client gets for a family, to redeem it once.
type Code struct{ ent.Schema }

func (Code) Annotations() []schema.Annotation { return table("code") }

func (Code) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("hash").Immutable().Sensitive(),
		field.String("family_id").Immutable(),
		field.String("client_id").Immutable(),
		field.String("redirect_uri").Immutable(),
		field.String("challenge").Immutable(),
		field.Time("expire_time").Immutable(),
		field.Time("redeem_time").Optional().Nillable(),
	}
}

func (Code) Indexes() []ent.Index {
	return []ent.Index{index.Fields("hash").Unique(), index.Fields("expire_time")}
}

// RefreshToken is one of a family. There is a next one after each use.
type RefreshToken struct{ ent.Schema }

func (RefreshToken) Annotations() []schema.Annotation { return table("refresh_token") }

func (RefreshToken) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("hash").Immutable().Sensitive(),
		field.String("family_id").Immutable(),
		field.String("client_id").Immutable(),
		field.Int64("parent_id").Immutable().Default(0).Comment("the token that it was given for; 0 for the first"),
		field.Time("expire_time").Immutable(),
		field.Time("redeem_time").Optional().Nillable(),
	}
}

func (RefreshToken) Indexes() []ent.Index {
	return []ent.Index{index.Fields("hash").Unique(), index.Fields("expire_time"), index.Fields("family_id")}
}

// SigningKey is a key that tokens are signed with.
type SigningKey struct{ ent.Schema }

func (SigningKey) Annotations() []schema.Annotation { return table("signing_key") }

func (SigningKey) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.Bytes("private").Sensitive().Comment("PKCS #8, or that encrypted"),
		field.Bytes("public").Optional().Comment("PKCS #1; null where a release before has made it and none since has kept it anew"),
		now("create_time"),
		field.Time("use_time").Immutable().Comment("from when on tokens are signed with it; it is published before"),
	}
}

// Device is a browser in which somebody has signed in before, so that others who try in vain do not shut him out there.
type Device struct{ ent.Schema }

func (Device) Annotations() []schema.Annotation { return table("device") }

func (Device) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("hash").Sensitive().Comment("of what its cookie says"),
		field.String("account_id").Immutable(),
		field.Time("expire_time").Immutable(),
	}
}

func (Device) Indexes() []ent.Index {
	return []ent.Index{index.Fields("hash", "account_id").Unique(), index.Fields("account_id"), index.Fields("expire_time")}
}

// Attempt counts attempts to sign in that were in vain, by account, by a browser that the account knows, or by network.
type Attempt struct{ ent.Schema }

func (Attempt) Annotations() []schema.Annotation { return table("attempt") }

func (Attempt) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("key").Immutable().Comment("a hash of whose they are"),
		field.Int("count"),
		field.Time("since").Comment("when the first of them was"),
	}
}

func (Attempt) Indexes() []ent.Index {
	return []ent.Index{index.Fields("key").Unique(), index.Fields("since")}
}

// Audit is what has happened that matters to security. Its rows are never changed and hold ids only, so that they can outlive a person.
type Audit struct{ ent.Schema }

func (Audit) Annotations() []schema.Annotation { return table("audit") }

func (Audit) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").Immutable(),
		field.String("event").Immutable(),
		field.String("account_id").Immutable().Default(""),
		field.String("client_id").Immutable().Default(""),
		field.String("session_id").Immutable().Default(""),
		field.String("request_id").Immutable().Default(""),
		now("create_time"),
	}
}

func (Audit) Indexes() []ent.Index { return []ent.Index{index.Fields("account_id", "id")} }

// Mail is one that somebody is owed. What it says is written when it is sent.
type Mail struct{ ent.Schema }

func (Mail) Annotations() []schema.Annotation { return table("mail") }

func (Mail) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("account_id").Immutable().Comment("empty if there is no account with the address that somebody named"),
		field.String("kind").Immutable(),
		field.String("email").Immutable().Default("").Comment("where it goes if not to the account's address"),
		field.String("language").Immutable(),
		field.String("next").Immutable().Comment("where its reader goes on"),
		field.Time("expire_time").Immutable(),
	}
}

func (Mail) Indexes() []ent.Index {
	return []ent.Index{index.Fields("account_id"), index.Fields("expire_time")}
}

// Link is what a mail leads to: whoever has it may choose the password of an account, once, or whoever has the account may make an address
// its own.
type Link struct{ ent.Schema }

func (Link) Annotations() []schema.Annotation { return table("link") }

func (Link) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("hash").Immutable().Sensitive(),
		field.String("account_id").Immutable(),
		field.String("email").Immutable().Default("").Comment("the new address of the account; empty for a link to choose a password"),
		field.String("next").Immutable(),
		field.Time("expire_time").Immutable(),
	}
}

func (Link) Indexes() []ent.Index {
	return []ent.Index{index.Fields("hash").Unique(), index.Fields("account_id"), index.Fields("expire_time")}
}

// Address is where somebody lives.
type Address struct{ ent.Schema }

func (Address) Annotations() []schema.Annotation { return table("address") }

func (Address) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable(),
		field.String("account_id").Immutable().Comment("the subject of a token: there may be no account"),
		field.String("name").Immutable(),
		field.Strings("lines").Immutable(),
		field.String("postal_code").Immutable(),
		field.String("city").Immutable(),
		field.String("region").Immutable(),
		field.String("country").Immutable(),
	}
}

func (Address) Indexes() []ent.Index { return []ent.Index{index.Fields("account_id", "id")} }
