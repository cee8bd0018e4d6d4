package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// page is what the template shows.
type page struct {
	Title, Version      string
	Description         template.HTML
	Tokens              bool // Whether some operation takes an access token.
	Groups              []group
	Style, Script, Icon string
}

// group holds the operations of a tag.
type group struct {
	Name, ID    string
	Description template.HTML
	Operations  []entry
}

// entry is an operation.
type entry struct {
	ID, Title, Method, Path, Procedure string
	Description                        template.HTML
	Deprecated                         bool
	// Access says who may call it; "" is everybody.
	Access     string
	Parameters []input
	Body       *content
	Answers    []answer
	Errors     []answer
	// Error is the body of all errors, if it is the same.
	Error []field
	// Sample is what it answers when it goes well.
	Sample *content
}

// input is a parameter, as a description and as a control of the form.
type input struct {
	field
	In      string
	Choices []string
	Hint    string
	List    bool // It may be given several times.
}

// content is a body.
type content struct {
	Type        string
	Description template.HTML
	Required    bool
	Fields      []field
	Sample      string
}

// answer is one that an operation can give.
type answer struct {
	Status, Reason string
	Description    template.HTML
	Body           *content
	Headers        []field
}

func newPage(text []byte) (*page, error) {
	d, err := parse(text)
	if err != nil {
		return nil, err
	}
	p := &page{Title: d.Info.Title, Version: d.Info.Version, Description: prose(first(d.Info.Description, d.Info.Summary))}
	byName := map[string]int{}
	place := func(name string) *group {
		if _, ok := byName[name]; !ok {
			byName[name] = len(p.Groups)
			p.Groups = append(p.Groups, group{Name: name, ID: "group-" + slug(name)})
		}
		return &p.Groups[byName[name]]
	}
	for _, t := range d.Tags {
		place(t.Name).Description = prose(t.Description)
	}
	seen := map[string]bool{}
	for _, item := range d.Paths {
		for _, method := range methods {
			o := item.Value.operations[method]
			if o == nil {
				continue
			}
			e, err := d.entry(method, item.Name, o, item.Value.shared)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", strings.ToUpper(method), item.Name, err)
			}
			if seen[e.ID] {
				return nil, fmt.Errorf("two operations are called %s", e.ID)
			}
			seen[e.ID] = true
			p.Tokens = p.Tokens || e.Access != ""
			name := "Operations"
			if len(o.Tags) > 0 {
				name = o.Tags[0]
			}
			g := place(name)
			g.Operations = append(g.Operations, *e)
		}
	}
	p.Groups = slices.DeleteFunc(p.Groups, func(g group) bool { return len(g.Operations) == 0 })
	if len(p.Groups) == 0 {
		return nil, errors.New("it has no operation")
	}
	return p, nil
}

// entry shows an operation.
func (d *document) entry(method, path string, o *operation, shared []*parameter) (*entry, error) {
	e := &entry{
		ID: slug(first(o.OperationID, method+path)), Title: first(o.Summary, words(first(o.OperationID, path))), Method: strings.ToUpper(method), Path: path,
		Procedure: o.Procedure, Description: prose(o.Description), Deprecated: o.Deprecated, Access: d.access(o),
	}
	var err error
	if e.Parameters, err = d.inputs(o.Parameters, shared); err != nil {
		return nil, err
	}
	if o.RequestBody != nil {
		asked, err := resolve(o.RequestBody, o.RequestBody.Ref, "requestBodies", d.Components.RequestBodies)
		if err != nil {
			return nil, err
		}
		if e.Body, err = d.content(asked, true); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
	}
	for _, r := range o.Responses {
		a, err := d.answer(r.Name, r.Value)
		if err != nil {
			return nil, fmt.Errorf("answer %s: %w", r.Name, err)
		}
		if r.Name >= "4" { // From here on it is 4XX, 5XX and default.
			e.Errors = append(e.Errors, *a)
			continue
		}
		if e.Sample == nil {
			e.Sample = a.Body
		}
		e.Answers = append(e.Answers, *a)
	}
	e.Error = common(e.Errors)
	for i, a := range e.Errors { // Only those that are not there when it goes well, too.
		e.Errors[i].Headers = slices.DeleteFunc(a.Headers, func(h field) bool {
			return len(e.Answers) > 0 && slices.ContainsFunc(e.Answers[0].Headers, func(other field) bool { return other.Name == h.Name })
		})
	}
	return e, nil
}

// answer shows an answer.
func (d *document) answer(status string, r *body) (*answer, error) {
	given, err := resolve(r, r.Ref, "responses", d.Components.Responses)
	if err != nil {
		return nil, err
	}
	a := &answer{Status: status, Description: prose(given.Description)}
	if code, err := strconv.Atoi(status); err == nil {
		a.Reason = http.StatusText(code)
	}
	if status == "default" {
		a.Status = "Otherwise"
	}
	if a.Body, err = d.content(given, false); err != nil {
		return nil, err
	}
	for _, h := range given.Headers {
		header, err := resolve(h.Value, h.Value.Ref, "headers", d.Components.Headers)
		if err != nil {
			return nil, err
		}
		f, err := schemas(d.Components.Schemas).field(h.Name, header.Schema, false, nil)
		if err != nil {
			return nil, err
		}
		f.Description = prose(header.Description)
		a.Headers = append(a.Headers, f)
	}
	return a, nil
}

// common takes the body out of answers that all have the same, and returns it.
func common(answers []answer) []field {
	var fields []field
	for i, a := range answers {
		if a.Body == nil || i > 0 && !reflect.DeepEqual(a.Body.Fields, fields) {
			return nil
		}
		fields = a.Body.Fields
	}
	for i := range answers {
		answers[i].Body = nil
	}
	return fields
}

// inputs shows the parameters of an operation, those of its path first.
func (d *document) inputs(own, shared []*parameter) ([]input, error) {
	var all []input
	for _, p := range append(slices.Clone(own), shared...) {
		p, err := resolve(p, p.Ref, "parameters", d.Components.Parameters)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(i input) bool { return i.Name == p.Name && i.In == p.In }) || p.In == "cookie" {
			continue // An operation's own come first; a page cannot set cookies of a call.
		}
		f, err := schemas(d.Components.Schemas).field(p.Name, p.Schema, p.Required, nil)
		if err != nil {
			return nil, err
		}
		if p.Description != "" {
			f.Description = prose(p.Description)
		}
		f.Deprecated = f.Deprecated || p.Deprecated
		i := input{field: f, In: p.In, Choices: f.Enum}
		if f.Type == "boolean" {
			i.Choices = []string{"true", "false"}
		}
		hint := p.Example
		if s := p.Schema; s != nil {
			for s.Items != nil {
				s, i.List = s.Items, true
			}
			for _, value := range append([]json.RawMessage{s.Example}, s.Examples...) {
				if hint == nil {
					hint = value
				}
			}
		}
		if i.Hint = text(hint); i.Hint != "" {
			i.Hint = "such as " + i.Hint
		}
		all = append(all, i)
	}
	order := []string{"path", "query", "header"}
	slices.SortStableFunc(all, func(a, b input) int { return slices.Index(order, a.In) - slices.Index(order, b.In) })
	return all, nil
}

// content shows a body, in JSON if it can be. It returns nil for one that is empty.
func (d *document) content(b *body, request bool) (*content, error) {
	if len(b.Content) == 0 {
		return nil, nil
	}
	kind := b.Content[0].Name
	m, ok := b.Content.get("application/json")
	if ok {
		kind = "application/json"
	} else {
		m = b.Content[0].Value
	}
	c := &content{Type: kind, Description: prose(b.Description), Required: b.Required}
	all := schemas(d.Components.Schemas)
	f, err := all.field("", m.Schema, false, nil)
	if err != nil {
		return nil, err
	}
	c.Fields = f.Fields
	if request {
		// What only answers have is not asked for.
		c.Fields = slices.DeleteFunc(slices.Clone(f.Fields), func(f field) bool { return f.ReadOnly })
	}
	c.Sample, err = all.sample(m, d.Components.Examples, request)
	if !strings.Contains(kind, "json") {
		c.Sample = text(json.RawMessage(c.Sample))
	}
	return c, err
}

// access says who may call an operation; "" means everybody.
func (d *document) access(o *operation) string {
	asked := d.Security
	if o.Security != nil {
		asked = *o.Security
	}
	access := ""
	for _, r := range asked {
		if len(r) == 0 {
			return ""
		}
		for _, scopes := range r {
			access = "Needs an access token"
			if len(scopes) > 0 {
				access += " with " + strings.Join(scopes, ", ")
			}
		}
	}
	return access
}

// resolve returns what a part of the document is: itself, or what it refers to.
func resolve[T any](part *T, ref, kind string, components map[string]*T) (*T, error) {
	if ref == "" {
		return part, nil
	}
	return refer(ref, kind, components)
}
