package main

import (
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// generateRoute writes where a public method is over REST. One without a google.api.http rule fails, so that nobody has to remember it;
// only services that no product serves do without.
func generateRoute(g *protogen.GeneratedFile, method *protogen.Method) error {
	if pages, _ := proto.GetExtension(method.Desc.Options(), platformv1.E_Pages).(*platformv1.Pages); pages != nil {
		return generatePages(g, method, pages)
	}
	rule, _ := proto.GetExtension(method.Desc.Options(), annotations.E_Http).(*annotations.HttpRule)
	public := access(method).GetVisibility() == platformv1.Visibility_VISIBILITY_PUBLIC
	if rule == nil {
		if !public || strings.HasPrefix(string(method.Desc.FullName()), notServed) {
			return nil
		}
		return fmt.Errorf("%s is public and has no route: add option (google.api.http)", method.Desc.FullName())
	}
	verb, path := verbAndPath(rule)
	problem := wrongRoute(method.Desc, rule, verb, path)
	if !public {
		problem = "only public methods have a route"
	}
	if problem != "" {
		return fmt.Errorf("%s: option (google.api.http): %s", method.Desc.FullName(), problem)
	}
	rest, _ := proto.GetExtension(method.Desc.Options(), platformv1.E_Rest).(*platformv1.Rest)
	more := ""
	if rule.GetBody() != "" {
		more += ", Body: true"
	}
	if rest.GetBare() {
		more += ", Bare: true"
	}
	g.P("Route: &", rpcPackage.Ident("Route"), "{Verb: ", fmt.Sprintf("%q", verb), ", Path: ", fmt.Sprintf("%q", path), more, "},")
	return nil
}

// harmless reports whether a method says that it changes nothing.
func harmless(method protoreflect.MethodDescriptor) bool {
	options, _ := method.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

func verbAndPath(rule *annotations.HttpRule) (verb, path string) {
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return "GET", pattern.Get
	case *annotations.HttpRule_Post:
		return "POST", pattern.Post
	case *annotations.HttpRule_Put:
		return "PUT", pattern.Put
	case *annotations.HttpRule_Patch:
		return "PATCH", pattern.Patch
	case *annotations.HttpRule_Delete:
		return "DELETE", pattern.Delete
	}
	return "", ""
}

// What the edge understands of a rule: paths of words and variables that are whole segments, and a word after a colon at the end.
var (
	path     = regexp.MustCompile(`^(/([a-z0-9][a-z0-9A-Z-]*|\{[a-z0-9_]+\}))+(:[a-zA-Z]+)?$`)
	variable = regexp.MustCompile(`\{([a-z0-9_]+)\}`)
)

// wrongRoute says what the edge would not understand, or "".
func wrongRoute(method protoreflect.MethodDescriptor, rule *annotations.HttpRule, verb, template string) string {
	switch {
	case verb == "":
		return "needs one of get, post, put, patch and delete"
	case !path.MatchString(template):
		return fmt.Sprintf("path %q is not made of words and {variables}, with a :word at the end at the most", template)
	case rule.GetResponseBody() != "" || len(rule.GetAdditionalBindings()) > 0:
		return "response_body and additional_bindings are not supported"
	case rule.GetBody() != "" && rule.GetBody() != "*":
		return `body is "*" or left out`
	case (rule.GetBody() == "*") != (verb == "POST" || verb == "PUT" || verb == "PATCH"):
		return `post, put and patch have body: "*", get and delete have none`
	case method.IsStreamingServer() && verb != "GET":
		return "streams are got"
	case verb == "GET" && !harmless(method):
		return "what is got has NO_SIDE_EFFECTS: links, and pages of other sites, make browsers get things"
	}
	seen := map[string]bool{}
	for _, match := range variable.FindAllStringSubmatch(template, -1) {
		field := method.Input().Fields().ByName(protoreflect.Name(match[1]))
		switch {
		case field == nil || field.IsList() || field.Kind() != protoreflect.StringKind:
			return fmt.Sprintf("%s of the path is no string of %s", match[0], method.Input().Name())
		case seen[match[1]]:
			return fmt.Sprintf("%s is twice in the path", match[0])
		}
		seen[match[1]] = true
	}
	if rule.GetBody() == "*" {
		return ""
	}
	// What is not in the path is in the query.
	for i := range method.Input().Fields().Len() {
		field := method.Input().Fields().Get(i)
		if field.Message() != nil || field.Kind() == protoreflect.BytesKind {
			return fmt.Sprintf("%s of %s cannot be told in a query", field.Name(), method.Input().Name())
		}
	}
	return ""
}
