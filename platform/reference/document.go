package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// What follows is as much of an OpenAPI 3 document as the page shows.
type document struct {
	OpenAPI string
	Info    struct {
		Title, Version, Summary, Description string
	}
	Security   []requirement
	Tags       []tag
	Paths      ordered[pathItem]
	Components struct {
		Schemas         map[string]*schema
		Parameters      map[string]*parameter
		RequestBodies   map[string]*body
		Responses       map[string]*body
		Headers         map[string]*parameter
		Examples        map[string]*example
		SecuritySchemes map[string]struct{ Type, Scheme, Description string }
	}
}

type tag struct{ Name, Description string }

// requirement names security schemes, and what each must allow.
type requirement map[string][]string

// methods are those that a path can have, in the order in which people look for them.
var methods = []string{"get", "post", "put", "patch", "delete"}

// pathItem holds the operations of a path by their methods, and what they share.
type pathItem struct {
	shared     []*parameter
	operations map[string]*operation
}

func (p *pathItem) UnmarshalJSON(text []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	p.operations = map[string]*operation{}
	for _, method := range methods {
		if text, ok := members[method]; ok {
			o := &operation{}
			if err := json.Unmarshal(text, o); err != nil {
				return fmt.Errorf("%s: %w", method, err)
			}
			p.operations[method] = o
		}
	}
	if text, ok := members["parameters"]; ok {
		return json.Unmarshal(text, &p.shared)
	}
	return nil
}

type operation struct {
	OperationID, Summary, Description string
	Tags                              []string
	Deprecated                        bool
	Parameters                        []*parameter
	RequestBody                       *body
	Responses                         ordered[*body]
	// Nil means what the whole document asks for, an empty list nothing.
	Security *[]requirement
	// Procedure is the path of the same operation over Connect, gRPC and gRPC-Web.
	Procedure string `json:"x-connect-procedure"`
}

// parameter is one of a path, a query or a header; also a header of an answer, which has no name of its own.
type parameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
	Required, Deprecated  bool
	Schema                *schema
	Example               json.RawMessage
}

// body is that of a request or an answer.
type body struct {
	Ref         string `json:"$ref"`
	Description string
	Required    bool
	Headers     ordered[*parameter]
	Content     ordered[media]
}

type media struct {
	Schema   *schema
	Example  json.RawMessage
	Examples ordered[*example]
}

type example struct {
	Ref     string `json:"$ref"`
	Summary string
	Value   json.RawMessage
}

type schema struct {
	Ref                                string `json:"$ref"`
	Title, Description, Format         string
	Type                               types
	Enum                               []json.RawMessage
	Const, Default, Example            json.RawMessage
	Examples                           []json.RawMessage
	Properties                         ordered[*schema]
	Required                           []string
	Items                              *schema
	AdditionalProperties               *schema
	AllOf, OneOf, AnyOf                []*schema
	Nullable, Deprecated               bool
	ReadOnly, WriteOnly                bool
	Minimum, Maximum                   json.Number
	ExclusiveMinimum, ExclusiveMaximum json.RawMessage // A number, or, before 3.1, true or false.
	MinLength, MaxLength               *int
	MinItems, MaxItems                 *int
	Pattern                            string
}

// UnmarshalJSON reads a schema; true and false are schemas, too.
func (s *schema) UnmarshalJSON(text []byte) error {
	if text := string(bytes.TrimSpace(text)); text == "true" || text == "false" {
		return nil
	}
	type plain schema
	return json.Unmarshal(text, (*plain)(s))
}

// types are the types that a value may have: one name, or, from 3.1, several.
type types []string

func (t *types) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte(`"`)) {
		*t = types{""}
		return json.Unmarshal(text, &(*t)[0])
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// ordered is a JSON object that keeps its order, which is the one that its author chose.
type ordered[T any] []member[T]

type member[T any] struct {
	Name  string
	Value T
}

func (o *ordered[T]) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		var m member[T]
		var value json.RawMessage
		m.Name, _ = name.(string)
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		if string(value) == "null" {
			return fmt.Errorf("%s is null", m.Name)
		}
		if err := json.Unmarshal(value, &m.Value); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		*o = append(*o, m)
	}
	return nil
}

func (o ordered[T]) get(name string) (value T, ok bool) {
	for _, m := range o {
		if m.Name == name {
			return m.Value, true
		}
	}
	return value, false
}

func parse(text []byte) (*document, error) {
	d := &document{}
	if err := json.Unmarshal(text, d); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(d.OpenAPI, "3.") {
		return nil, errors.New("it is not of version 3")
	}
	return d, nil
}

// refer returns what a reference to one of the components leads to. A reference that leads nowhere is an error of the document.
func refer[T any](ref, kind string, components map[string]*T) (*T, error) {
	name, ok := strings.CutPrefix(ref, "#/components/"+kind+"/")
	found := components[name]
	if !ok || found == nil {
		return nil, fmt.Errorf("%s leads nowhere", ref)
	}
	return found, nil
}
