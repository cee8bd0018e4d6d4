package reference

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

// deepest is how many levels of a value the page shows: more than one wants to read, and an end for documents that do not have one.
const deepest = 8

// field is a part of a value, as the page shows it.
type field struct {
	Name, Type  string
	Required    bool
	Deprecated  bool
	ReadOnly    bool
	Description template.HTML
	Limits      []string
	Enum        []string
	// Fields are its own parts, if it is an object or a list of them.
	Fields []field
	// Of is what those are called together.
	Of string
}

// schemas shows schemas and makes up values of them.
type schemas map[string]*schema

// follow returns what a schema refers to, with what stands beside the reference, and the name of it.
func (s schemas) follow(at *schema) (found *schema, name string, err error) {
	found = at
	if found == nil {
		return &schema{}, "", nil
	}
	for range deepest {
		// Before 3.1 nothing may stand beside a reference, so what has a description of its own refers inside of an allOf.
		ref := found.Ref
		if ref == "" && len(found.AllOf) == 1 && len(found.Properties) == 0 {
			ref = found.AllOf[0].Ref
		}
		if ref == "" {
			return found, name, nil
		}
		next, err := refer(ref, "schemas", s)
		if err != nil {
			return nil, "", err
		}
		name = ref[strings.LastIndexAny(ref, "/._")+1:]
		beside := *next
		beside.Description = first(found.Description, next.Description)
		beside.Deprecated = beside.Deprecated || found.Deprecated
		beside.ReadOnly = beside.ReadOnly || found.ReadOnly
		beside.Nullable = beside.Nullable || found.Nullable
		if found.Example != nil {
			beside.Example = found.Example
		}
		found = &beside
	}
	return nil, "", errDeep
}

// errDeep refuses schemas that consist of themselves. That they hold others like themselves is all right.
var errDeep = errors.New("a schema consists of itself")

// object returns a schema with everything that its parts demand together.
func (s schemas) object(at *schema) (*schema, string, error) { return s.merge(at, deepest) }

func (s schemas) merge(at *schema, deep int) (*schema, string, error) {
	found, name, err := s.follow(at)
	if err != nil || len(found.AllOf) == 0 {
		return found, name, err
	}
	if deep == 0 {
		return nil, "", errDeep
	}
	whole := *found
	whole.AllOf, whole.Properties, whole.Required = nil, slices.Clone(found.Properties), slices.Clone(found.Required)
	for _, part := range found.AllOf {
		p, _, err := s.merge(part, deep-1)
		if err != nil {
			return nil, "", err
		}
		whole.Properties = append(whole.Properties, p.Properties...)
		whole.Required = append(whole.Required, p.Required...)
		whole.Type = append(whole.Type, p.Type...)
	}
	return &whole, name, nil
}

// field shows a schema. The names are those of the schemas that it is in: one that is in itself is not shown again.
func (s schemas) field(name string, at *schema, required bool, in []string) (field, error) {
	f := field{Name: name, Required: required}
	if at == nil {
		f.Type = "anything"
		return f, nil
	}
	found, named, err := s.object(at)
	if err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	f.Description, f.Deprecated, f.ReadOnly = prose(found.Description), found.Deprecated, found.ReadOnly
	f.Limits, f.Enum = limits(found), texts(found.Enum)
	if f.Type, err = s.label(found, named, deepest); err != nil {
		return f, fmt.Errorf("%s: %w", name, err)
	}
	inner := found // Not without end: label has seen to it.
	for inner.Items != nil || inner.AdditionalProperties != nil && len(inner.Properties) == 0 {
		next := inner.Items
		if next == nil {
			next = inner.AdditionalProperties
		}
		if inner, named, err = s.object(next); err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
		f.Enum = append(f.Enum, texts(inner.Enum)...)
	}
	if named != "" && slices.Contains(in, named) || len(in) >= deepest {
		return f, nil
	}
	f.Of = first(named, "object")
	in = append(slices.Clone(in), f.Of)
	for _, p := range inner.Properties {
		part, err := s.field(p.Name, p.Value, slices.Contains(inner.Required, p.Name), in)
		if err != nil {
			return f, err
		}
		f.Fields = append(f.Fields, part)
	}
	for _, choice := range append(slices.Clone(inner.OneOf), inner.AnyOf...) {
		part, err := s.field("", choice, false, in)
		if err != nil {
			return f, err
		}
		part.Name = "or " + first(choice.Title, part.Type)
		f.Fields = append(f.Fields, part)
	}
	return f, nil
}

// label says what a schema is in a few words, for instance "list of Product".
func (s schemas) label(at *schema, name string, deep int) (string, error) {
	if deep == 0 {
		return "", errDeep
	}
	kinds := slices.DeleteFunc(slices.Clone(at.Type), func(kind string) bool { return kind == "null" })
	slices.Sort(kinds)
	label := strings.Join(slices.Compact(kinds), " or ")
	switch inner := at.Items; {
	case inner != nil:
		of, err := s.labelOf(inner, deep-1)
		if err != nil {
			return "", err
		}
		label = "list of " + of
	case at.AdditionalProperties != nil && len(at.Properties) == 0:
		of, err := s.labelOf(at.AdditionalProperties, deep-1)
		if err != nil {
			return "", err
		}
		label = "map to " + of
	case len(at.Enum) > 0:
		label = "one of"
	case name != "" && (label == "object" || label == ""):
		label = name
	case at.Format != "":
		label += " (" + at.Format + ")"
	}
	if at.Nullable || slices.Contains(at.Type, "null") {
		label += " or null"
	}
	return first(strings.TrimSpace(label), "anything"), nil
}

func (s schemas) labelOf(at *schema, deep int) (string, error) {
	found, name, err := s.object(at)
	if err != nil {
		return "", err
	}
	return s.label(found, name, deep)
}

// limits says what a value must be besides its type.
func limits(s *schema) []string {
	var all []string
	say := func(format string, value any) { all = append(all, fmt.Sprintf(format, value)) }
	if s.Const != nil {
		say("always %s", text(s.Const))
	}
	if s.Minimum != "" {
		say("≥ %s", s.Minimum)
	}
	if s.Maximum != "" {
		say("≤ %s", s.Maximum)
	}
	if n := text(s.ExclusiveMinimum); n != "" && n != "true" && n != "false" {
		say("> %s", n)
	}
	if n := text(s.ExclusiveMaximum); n != "" && n != "true" && n != "false" {
		say("< %s", n)
	}
	for _, count := range []struct {
		format string
		value  *int
	}{
		{"at least %d long", s.MinLength}, {"at most %d long", s.MaxLength}, {"at least %d items", s.MinItems}, {"at most %d items", s.MaxItems},
	} {
		if count.value != nil {
			say(count.format, *count.value)
		}
	}
	if s.Pattern != "" {
		say("matches %s", s.Pattern)
	}
	if s.Default != nil {
		say("default %s", text(s.Default))
	}
	return all
}

// text returns a JSON value as a person writes it: a string without its quotes.
func text(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return s
	}
	return string(value)
}

func texts(values []json.RawMessage) []string {
	var all []string
	for _, value := range values {
		all = append(all, text(value))
	}
	return all
}

// first returns the first of two texts that is not empty.
func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
