package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	platformv1 "github.com/cleave-go/cleave/gen/cleave/platform/v1"
)

// operation is what a method is over REST.
type operation struct {
	method     *protogen.Method
	verb, path string
	bound      map[protoreflect.Name]bool // The fields in the path.
	body       bool                       // The rest of the request is the body.
	creates    bool                       // By the convention of the edge.
	located    bool                       // What it creates can be got.
	restricted bool                       // Its caller needs a role or a scope.
	names      bool                       // It names something that may not be there.
	changes    bool                       // It takes a request id.
	cached     bool                       // Its answers may be kept.
	bare       bool                       // Its errors are those of an older contract.
}

var variable = regexp.MustCompile(`\{([a-z0-9_]+)\}`)

var inCollection = regexp.MustCompile(`^(.*)/\{[a-z0-9_]+\}$`)

// findCollections finds the paths below which something can be got by its id. What is created there has a location.
func (d *document) findCollections(services []*protogen.Service) {
	for _, service := range services {
		for _, method := range service.Methods {
			rule, _ := proto.GetExtension(method.Desc.Options(), annotations.E_Http).(*annotations.HttpRule)
			if match := inCollection.FindStringSubmatch(rule.GetGet()); match != nil {
				d.collections[match[1]] = true
			}
		}
	}
}

// addMethod adds a public method.
func (d *document) addMethod(tag string, service *protogen.Service, method *protogen.Method) error {
	if pages, _ := proto.GetExtension(method.Desc.Options(), platformv1.E_Pages).(*platformv1.Pages); pages != nil {
		return d.addPages(tag, pages)
	}
	o := operation{method: method, bound: map[protoreflect.Name]bool{}}
	rule, _ := proto.GetExtension(method.Desc.Options(), annotations.E_Http).(*annotations.HttpRule)
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		o.verb, o.path = "get", pattern.Get
	case *annotations.HttpRule_Post:
		o.verb, o.path = "post", pattern.Post
	case *annotations.HttpRule_Put:
		o.verb, o.path = "put", pattern.Put
	case *annotations.HttpRule_Patch:
		o.verb, o.path = "patch", pattern.Patch
	case *annotations.HttpRule_Delete:
		o.verb, o.path = "delete", pattern.Delete
	default:
		return fmt.Errorf("%s is public and has no route: add option (google.api.http)", method.Desc.FullName())
	}
	o.body = rule.GetBody() != ""
	o.creates = o.verb == "post" && !strings.Contains(o.path, ":")
	fields := method.Input.Desc.Fields()
	rest, _ := proto.GetExtension(method.Desc.Options(), platformv1.E_Rest).(*platformv1.Rest)
	o.bare = rest.GetBare()
	o.located = o.creates && d.collections[o.path] && !o.bare
	o.path = variable.ReplaceAllStringFunc(o.path, func(name string) string {
		field := fields.ByName(protoreflect.Name(strings.Trim(name, "{}")))
		o.bound[field.Name()] = true
		return "{" + field.JSONName() + "}"
	})
	o.changes = fields.ByName("request_id") != nil
	o.names = len(o.bound) > 0
	o.cached = proto.HasExtension(method.Desc.Options(), platformv1.E_Cache)
	a := access(method)
	o.restricted = a.GetWho() == platformv1.Who_WHO_ROLE || a.GetScope() != ""

	described := members{
		{"operationId", service.GoName + "_" + method.GoName},
		{"tags", []string{tag}},
		{"summary", words(method.GoName)},
		{"description", prose(method.Comments.Leading) + "\n\n" + who(a)},
		{"security", security(a)},
	}
	parameters, err := d.parameters(&o)
	if err != nil {
		return err
	}
	described = append(described, member{"parameters", parameters})
	if o.body {
		content, required, err := d.requestBody(&o)
		if err != nil {
			return err
		}
		described = append(described, member{"requestBody", members{{"required", required}, {"content", members{{"application/json", content}}}}})
	}
	answer, err := d.answer(&o)
	if err != nil {
		return err
	}
	described = append(described,
		member{"responses", o.fail(answer)},
		member{"x-connect-procedure", fmt.Sprintf("/%s/%s", service.Desc.FullName(), method.Desc.Name())},
	)
	return d.addOperation(o.path, o.verb, described)
}

// addOperation adds an operation to its path.
func (d *document) addOperation(path, verb string, described members) error {
	for i := range d.Paths {
		if d.Paths[i].name == path {
			item := d.Paths[i].value.(members)
			if item.get(verb) != nil {
				return fmt.Errorf("%s %s is the route of two methods", strings.ToUpper(verb), path)
			}
			d.Paths[i].value = append(item, member{verb, described})
			return nil
		}
	}
	d.Paths = append(d.Paths, member{path, members{{verb, described}}})
	return nil
}

// parameters returns what is in the path, the query and the headers of a request.
func (d *document) parameters(o *operation) ([]members, error) {
	var list []members
	for _, field := range o.method.Input.Fields {
		in := "query"
		if o.bound[field.Desc.Name()] {
			in = "path"
		} else if o.body {
			continue
		}
		schema, err := d.field(field)
		if err != nil {
			return nil, err
		}
		p := members{{"name", field.Desc.JSONName()}, {"in", in}}
		if required(field) || in == "path" {
			p = append(p, member{"required", true})
		}
		text, _ := schema.get("description").(string)
		if text == "" {
			text = "The " + strings.ReplaceAll(string(field.Desc.Name()), "_", " ") + "."
		}
		p = append(p, member{"description", text})
		list = append(list, append(p, member{"schema", schema.without("description")}))
	}
	list = append(list, ref("parameters", "CorrelationId"))
	if o.cached {
		list = append(list, ref("parameters", "IfNoneMatch"))
	}
	if o.body && o.changes {
		list = append(list, ref("parameters", "IdempotencyKey"))
	}
	return list, nil
}

// requestBody returns the body, and whether there must be one.
func (d *document) requestBody(o *operation) (members, bool, error) {
	schema, err := d.object(o.method.Input, o.bound)
	if err != nil {
		return nil, false, err
	}
	name := string(o.method.Input.Desc.Name())
	if err := d.addSchema(name, string(o.method.Input.Desc.FullName()), schema); err != nil {
		return nil, false, err
	}
	return members{{"schema", ref("schemas", name)}, {"example", example(o.method.Input, o.bound)}}, schema.get("required") != nil, nil
}

// answer returns what an operation answers when all is well.
func (d *document) answer(o *operation) (members, error) {
	schema, err := d.message(o.method.Output)
	if err != nil {
		return nil, err
	}
	description := prose(o.method.Output.Comments.Leading)
	description = strings.TrimPrefix(description, o.method.Output.GoIdent.GoName+" ")
	description = strings.ToUpper(description[:1]) + description[1:]
	status, more := "200", members(nil)
	content := members{{"schema", schema}, {"example", example(o.method.Output, nil)}}
	kinds := members{{"application/json", content}}
	if o.creates {
		status = "201"
	}
	if o.located {
		more = members{{"Location", ref("headers", "Location")}}
	}
	if o.cached {
		kept := members{{"Cache-Control", ref("headers", "CacheControl")}, {"ETag", ref("headers", "ETag")}}
		all := members{{"X-Correlation-Id", ref("headers", "CorrelationId")}}
		return members{
			{status, members{{"description", description}, {"headers", append(all, kept...)}, {"content", kinds}}},
			{"304", members{{"description", "It is what the caller has."}, {"headers", append(all, kept...)}}},
		}, nil
	}
	if o.method.Desc.IsStreamingServer() {
		description += " One after the other, as they come."
		kinds = members{{"application/x-ndjson", content}, {"text/event-stream", content}}
	}
	return members{{status, members{{"description", description}, {"headers", headers(more...)}, {"content", kinds}}}}, nil
}

func access(method *protogen.Method) *platformv1.Access {
	a, _ := proto.GetExtension(method.Desc.Options(), platformv1.E_Access).(*platformv1.Access)
	return a
}

// security returns what a caller needs.
func security(a *platformv1.Access) []members {
	if a.GetWho() == platformv1.Who_WHO_ANYONE {
		return []members{}
	}
	scopes := []string{}
	if a.GetScope() != "" {
		scopes = append(scopes, a.GetScope())
	}
	if a.GetWho() == platformv1.Who_WHO_GUEST {
		return []members{{{"token", scopes}}, {{"guest", []string{}}}}
	}
	return []members{{{"token", scopes}}}
}

// who says who may call a method.
func who(a *platformv1.Access) string {
	var b strings.Builder
	switch a.GetWho() {
	case platformv1.Who_WHO_ANYONE:
		return "Anyone may call it."
	case platformv1.Who_WHO_ROLE:
		b.WriteString("For callers with the role " + either(a.GetRoles()))
	case platformv1.Who_WHO_GUEST:
		b.WriteString("For guests, and for callers who have signed in")
	default:
		b.WriteString("For callers who have signed in")
	}
	if a.GetScope() != "" {
		b.WriteString(", with a token of the scope `" + a.GetScope() + "`")
	}
	b.WriteString(".")
	if o := a.GetOwnership(); o != nil {
		b.WriteString(" It meets only what belongs to the caller")
		if len(o.GetUnlessRoles()) > 0 {
			b.WriteString(", and with the role " + either(o.GetUnlessRoles()) + " everything")
		}
		b.WriteString(".")
	}
	return b.String()
}

func either(roles []string) string { return "`" + strings.Join(roles, "` or `") + "`" }

// prose joins the lines of a comment that belong together.
func prose(comment protogen.Comments) string {
	var paragraphs []string
	for _, paragraph := range strings.Split(strings.TrimSpace(strings.ReplaceAll(string(comment), "\n ", "\n")), "\n\n") {
		paragraphs = append(paragraphs, strings.Join(strings.Fields(paragraph), " "))
	}
	return strings.Join(paragraphs, "\n\n")
}

// words makes a phrase of a name: GetOrder becomes "Get order".
func words(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
