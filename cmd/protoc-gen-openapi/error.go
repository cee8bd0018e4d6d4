package main

import "fmt"

// failure is a way to fail that operations share.
type failure struct {
	status            int
	name, description string
	code              string
	reason, message   string
	header            members
}

var failures = []failure{
	{400, "Invalid", "The request is wrong (invalid_argument), or does not fit to how things are (failed_precondition): the reason says in which way.", "invalid_argument", "", "validation error: quantity: must be less than or equal to 10000", nil},
	{401, "Unauthenticated", "Nobody has signed in where somebody must have, or the token is not valid. The header WWW-Authenticate says what is wanted.", "unauthenticated", "SIGN_IN", "sign in first", nil},
	{403, "Denied", "The caller's roles, or the scopes of the token, do not allow this.", "permission_denied", "", "this is not allowed", nil},
	{404, "NotFound", "There is no such thing, or it is not the caller's.", "not_found", "", `order "ord_1" not found`, nil},
	{409, "Conflict", "The request id was used for another request (already_exists), or somebody else was faster (aborted): read, and try again.", "already_exists", "REQUEST_ID_REUSED", "the request id was used for another request", nil},
	{413, "TooLarge", "The body is too large.", "resource_exhausted", "BODY_TOO_LARGE", "request is larger than 1048576 bytes", nil},
	{415, "UnsupportedMediaType", "The body is not JSON, or is compressed.", "invalid_argument", "CONTENT_TYPE", "the body is not declared as JSON: send Content-Type: application/json", nil},
	{429, "TooManyRequests", "Too many requests.", "resource_exhausted", "", "too many requests", members{{"Retry-After", ref("headers", "RetryAfter")}}},
	{503, "Unavailable", "Something that is needed does not answer. Try again: with the same request id nothing happens twice.", "unavailable", "", "orders is unavailable", members{{"Retry-After", ref("headers", "RetryAfter")}}},
}

// addErrors adds the shape of errors, and the answers that operations share.
func (d *document) addErrors() {
	text := func(description string) members { return members{{"type", "string"}, {"description", description}} }
	d.Components.Schemas = members{{"Error", members{
		{"type", "object"}, {"description", "What went wrong."}, {"required", []string{"error"}},
		{"properties", members{{"error", members{
			{"type", "object"}, {"required", []string{"code", "message", "correlationId"}},
			{"properties", members{
				{"code", members{{"type", "string"}, {"description", "What kind of error it is."}, {"enum", []string{
					"canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found", "already_exists", "permission_denied", "resource_exhausted",
					"failed_precondition", "aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss", "unauthenticated",
				}}}},
				{"message", text("For people. It may change.")},
				{"reason", text("Tells errors of one code apart, for machines: capitals and underscores.")},
				{"fields", members{{"type", "array"}, {"description", "What is wrong with the request, field by field."}, {"items", members{
					{"type", "object"}, {"required", []string{"field", "message"}},
					{"properties", members{{"field", text("A path like items[2].quantity.")}, {"message", text("What is wrong with it.")}}},
				}}}},
				{"correlationId", text("As in the header X-Correlation-Id.")},
			}},
		}}}},
	}}}
	for _, f := range failures {
		d.Components.Responses = append(d.Components.Responses, member{f.name, f.response(members{
			{"schema", ref("schemas", "Error")}, {"example", members{{"error", members{{"code", f.code}, {"message", f.message}}.with("reason", f.reason).
				with("correlationId", "cor_01a1fdad074278e680c5e4fa22541122")}}},
		})})
	}
	d.Components.Schemas = append(d.Components.Schemas, member{"BareError", members{
		{"type", "object"}, {"description", "What went wrong, as it was told before."}, {"required", []string{"error"}},
		{"properties", members{{"error", text("For people.")}}},
	}})
	d.Components.Schemas = append(d.Components.Schemas, member{"ConnectError", members{
		{"type", "object"}, {"description", "What went wrong, as Connect tells it."}, {"required", []string{"code", "message"}},
		{"properties", members{
			{"code", text("What kind of error it is.")}, {"message", text("For people. It may change.")},
			{"details", members{{"type", "array"}, {"description", "For programs."}, {"items", members{{"type", "object"}}}}},
		}},
	}})
	d.Components.Responses = append(d.Components.Responses, member{"Failure", anyOther.response(members{{"schema", ref("schemas", "Error")}})})
}

var anyOther = failure{description: "Any other error."}

// bareMessage returns the message as the older contract has it: that one is read by programs.
func (f failure) bareMessage() string {
	if f.status == 404 {
		return "Order not found"
	}
	return f.message
}

func (f failure) response(content members) members {
	return members{{"description", f.description}, {"headers", headers(f.header...)}, {"content", members{{"application/json", content}}}}
}

// headers are those of every answer of a method, and more.
func headers(more ...member) members {
	return append(members{
		{"X-Correlation-Id", ref("headers", "CorrelationId")}, {"RateLimit", ref("headers", "RateLimit")}, {"RateLimit-Policy", ref("headers", "RateLimitPolicy")},
	}, more...)
}

// plainErrors are those of what is no method: the door's own.
func plainErrors() (responses members) {
	for _, f := range failures {
		if f.status == 401 || f.status == 429 || f.status == 503 {
			responses = append(responses, member{fmt.Sprint(f.status), f.response(members{
				{"schema", ref("schemas", "ConnectError")}, {"example", members{{"code", f.code}, {"message", f.message}}},
			})})
		}
	}
	return append(responses, member{"default", anyOther.response(members{{"schema", ref("schemas", "ConnectError")}})})
}

// fail adds the errors that an operation may have.
func (o *operation) fail(responses members) members {
	possible := map[int]bool{400: true, 401: true, 403: o.restricted, 404: o.names, 409: o.changes, 413: o.body, 415: o.body, 429: true, 503: true}
	for _, f := range failures {
		switch {
		case !possible[f.status]:
		case o.bare:
			responses = append(responses, member{fmt.Sprint(f.status), f.response(members{
				{"schema", ref("schemas", "BareError")}, {"example", members{{"error", f.bareMessage()}}},
			})})
		default:
			responses = append(responses, member{fmt.Sprint(f.status), ref("responses", f.name)})
		}
	}
	if o.bare {
		return append(responses, member{"default", anyOther.response(members{{"schema", ref("schemas", "BareError")}})})
	}
	return append(responses, member{"default", ref("responses", "Failure")})
}
