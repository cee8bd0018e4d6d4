package main

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
)

// TestWrongRoute holds that a rule which the edge would not understand stops the generation.
func TestWrongRoute(t *testing.T) {
	t.Parallel()
	get := func(path string) *annotations.HttpRule {
		return &annotations.HttpRule{Pattern: &annotations.HttpRule_Get{Get: path}}
	}
	post := func(path, body string) *annotations.HttpRule {
		return &annotations.HttpRule{Pattern: &annotations.HttpRule_Post{Post: path}, Body: body}
	}
	response := get("/v1/calls/{case}")
	response.ResponseBody = "text"
	more := get("/v1/calls/{case}")
	more.AdditionalBindings = []*annotations.HttpRule{get("/v2/calls/{case}")}
	for _, c := range []struct {
		name, method string
		rule         *annotations.HttpRule
		says         string // "" if nothing is wrong.
	}{
		{"a get", "Look", get("/v1/calls/{case}"), ""},
		{"a get with an action", "Watch", get("/v1/calls/{case}:watch"), ""},
		{"a post", "Call", post("/v1/calls/{case}", "*"), ""},
		{"an action of all", "Call", post("/v1/calls:make", "*"), ""},
		{"nothing", "Look", &annotations.HttpRule{}, "needs one of"},
		{"no path", "Look", get("v1"), "is not made of words"},
		{"half a segment", "Look", get("/v1/a{case}"), "is not made of words"},
		{"a pattern", "Look", get("/v1/{case=calls/*}"), "is not made of words"},
		{"a wildcard", "Look", get("/v1/**"), "is not made of words"},
		{"an unknown field", "Look", get("/v1/calls/{id}"), "{id} of the path is no string"},
		{"a number", "Watch", get("/v1/calls/{count}"), "{count} of the path is no string"},
		{"one twice", "Look", get("/v1/{case}/{case}"), "{case} is twice"},
		{"a part of the answer", "Look", response, "are not supported"},
		{"two paths", "Look", more, "are not supported"},
		{"a post without a body", "Call", post("/v1/calls", ""), "have body"},
		{"a part as body", "Call", post("/v1/calls", "payload"), `body is "*"`},
		{"a stream that is posted", "Watch", post("/v1/calls/{case}:watch", "*"), "streams are got"},
		{"bytes in the query", "ReadSession", get("/v1/sessions"), "cannot be told in a query"},
		{"a get that changes something", "Call", get("/v1/calls/{case}"), "NO_SIDE_EFFECTS"},
	} {
		services := parityv1.File_cleave_platform_parity_v1_parity_proto.Services()
		method := services.ByName("ParityService").Methods().ByName(protoreflect.Name(c.method))
		if method == nil {
			method = services.ByName("BrowserService").Methods().ByName(protoreflect.Name(c.method))
		}
		verb, path := verbAndPath(c.rule)
		if got := wrongRoute(method, c.rule, verb, path); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.says)
		}
	}
}
