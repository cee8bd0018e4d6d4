package main

import (
	"bytes"
	"encoding/json"
	"slices"
)

// document is an OpenAPI document. Its parts are maps that keep their order, because people read it.
type document struct {
	OpenAPI    string    `json:"openapi"`
	Info       members   `json:"info"`
	Servers    []members `json:"servers"`
	Tags       []members `json:"tags"`
	Paths      members   `json:"paths"`
	Components struct {
		SecuritySchemes members `json:"securitySchemes"`
		Headers         members `json:"headers"`
		Parameters      members `json:"parameters"`
		Responses       members `json:"responses"`
		Schemas         members `json:"schemas"`
	} `json:"components"`

	collections map[string]bool   // The paths below which something can be got by its id.
	schemas     map[string]string // The full names of the messages and enums that have a schema, by the name of the schema.
}

// members are the members of a JSON object, in their order.
type members []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the object.
func (m members) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, each := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, part := range []any{each.name, each.value} {
			if j > 0 {
				b.WriteByte(':')
			}
			encoder := json.NewEncoder(&b)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(part); err != nil {
				return nil, err
			}
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// with returns the object with one more member, unless its value is empty.
func (m members) with(name string, value any) members {
	switch v := value.(type) {
	case string:
		if v == "" {
			return m
		}
	case members:
		if len(v) == 0 {
			return m
		}
	case []members:
		if len(v) == 0 {
			return m
		}
	case []string:
		if len(v) == 0 {
			return m
		}
	case nil:
		return m
	}
	return append(m, member{name, value})
}

// without returns the object without a member.
func (m members) without(name string) members {
	return slices.DeleteFunc(slices.Clone(m), func(each member) bool { return each.name == name })
}

// get returns the value of a member, or nil.
func (m members) get(name string) any {
	for _, each := range m {
		if each.name == name {
			return each.value
		}
	}
	return nil
}

func ref(kind, name string) members { return members{{"$ref", "#/components/" + kind + "/" + name}} }

func newDocument() *document {
	d := &document{OpenAPI: "3.1.0", schemas: map[string]string{}, collections: map[string]bool{}}
	d.Info = members{
		{"title", "Cleave"},
		{"summary", "A commerce backend: catalog, carts, orders, payments."},
		{"description", about},
		{"version", "v1"},
		{"license", members{{"name", "Apache License 2.0"}, {"identifier", "Apache-2.0"}}},
	}
	d.Servers = []members{{{"url", "/"}, {"description", "Where this document is from."}}}
	d.Components.SecuritySchemes = members{{"token", members{
		{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"},
		{"description", "An access token of the OpenID Connect issuer that the shop trusts, in the header `Authorization: Bearer …`. On a laptop, without an issuer, nobody needs one."},
	}}, {"guest", members{
		{"type", "http"}, {"scheme", "bearer"},
		{"description", "The secret of a guest, in the header `Authorization: Bearer guest_…`: 32 bytes that the caller has drawn by chance, in base64url without padding. Carts and orders belong to whoever has it."},
	}}}
	text := members{{"type", "string"}}
	d.Components.Headers = members{
		{"CorrelationId", members{{"description", "Joins everything that belongs to this request, in logs and in what other modules did for it: tell it to whoever looks into a problem."},
			{"schema", members{{"type", "string"}, {"maxLength", 128}, {"examples", []string{"cor_01a1fdad074278e680c5e4fa22541122"}}}}}},
		{"CacheControl", members{{"description", "For how many seconds the answer may be used, by anybody, before asking again."}, {"schema", members{{"type", "string"}, {"examples", []string{"public, max-age=60"}}}}}},
		{"ETag", members{{"description", "What distinguishes this answer from a later one: tell it in If-None-Match."}, {"schema", text}}},
		{"Location", members{{"description", "Where what was created can be got."}, {"schema", members{{"type", "string"}, {"format", "uri-reference"}}}}},
		{"RateLimit", members{{"description", "How many requests are left (r), and in how many seconds there are more (t), where requests are limited."}, {"schema", text}}},
		{"RateLimitPolicy", members{{"description", "How many requests there may be (q) in how many seconds (w), where requests are limited."}, {"schema", text}}},
		{"RetryAfter", members{{"description", "After how many seconds to try again."}, {"schema", members{{"type", "integer"}, {"minimum", 0}}}}},
	}
	d.Components.Parameters = members{
		{"CorrelationId", members{{"name", "X-Correlation-Id"}, {"in", "header"}, {"description", "A correlation id of your own; one is made otherwise."},
			{"schema", members{{"type", "string"}, {"minLength", 1}, {"maxLength", 128}, {"pattern", "^[!-~]+$"}}}}},
		{"IdempotencyKey", members{{"name", "Idempotency-Key"}, {"in", "header"}, {"description", "Stands for the request id where the body has none: the same key with the same request gets the first answer again."},
			{"schema", members{{"type", "string"}, {"minLength", 1}, {"maxLength", 128}}}}},
		{"IfNoneMatch", members{{"name", "If-None-Match"}, {"in", "header"}, {"description", "The ETag of an answer that the caller has: 304 if it still holds."}, {"schema", text}}},
	}
	d.addErrors()
	return d
}

const about = `Every public method over plain HTTP and JSON. The same methods can be called over Connect, gRPC and gRPC-Web at the same address, where
the path is that in ` + "`x-connect-procedure`" + `, and the JSON of Connect is the same.

**Who calls.** ` + "`Authorization: Bearer`" + ` with an access token. Each operation says which scope and role it wants. What belongs to
somebody else is not found.

**JSON.** Names are in camelCase. What is empty, zero or false is left out of answers. Integers of 64 bits are strings, because the numbers of
JavaScript lose digits; requests may have them as numbers. Times are RFC 3339 in UTC. Members that a request does not have are ignored.

**Once.** What changes something takes a ` + "`requestId`" + ` of your choice, in the body or as the header ` + "`Idempotency-Key`" + `. The same id with the same
request gets the first answer again, for seven days; with another request it is refused. So a request whose answer was lost can be repeated.

**Errors** are ` + "`{\"error\": {\"code\", \"message\", \"reason\", \"fields\", \"correlationId\"}}`" + `. The code is one of sixteen, in capitals in the
descriptions here; the reason tells errors of one code apart; the message is for people and may change.

**Lists** come in pages: ` + "`pageSize`" + ` is a wish, and ` + "`pageToken`" + ` is the ` + "`nextPageToken`" + ` of the page before.

**Streams** are a JSON object a line, or server-sent events for who accepts ` + "`text/event-stream`" + `. An error in the middle of one is its last line,
or an event named error.`
