package reference

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// sample returns a value for a body: one of the document's examples, or else one that is made up of the schema.
func (s schemas) sample(m media, examples map[string]*example, request bool) (string, error) {
	value := m.Example
	if value == nil && len(m.Examples) > 0 {
		e := m.Examples[0].Value
		if e.Ref != "" {
			var err error
			if e, err = refer(e.Ref, "examples", examples); err != nil {
				return "", err
			}
		}
		value = e.Value
	}
	if value == nil && m.Schema != nil {
		var err error
		if value, err = s.value(m.Schema, request, nil); err != nil {
			return "", err
		}
	}
	if value == nil {
		return "", nil
	}
	var out bytes.Buffer
	if err := json.Indent(&out, value, "", "  "); err != nil {
		return "", err
	}
	return out.String(), nil
}

// formats are values of what has a format.
var formats = map[string]string{
	"date-time": "2026-01-31T12:00:00Z", "date": "2026-01-31", "duration": "1.5s", "uuid": "0f8fad5b-d9cb-469f-a165-70867728950e",
	"email": "someone@example.com", "uri": "https://example.com", "int64": "1", "uint64": "1", "byte": "", "bytes": "",
}

// value makes up a value. The names are those of the schemas that it is in.
func (s schemas) value(at *schema, request bool, in []string) (json.RawMessage, error) {
	found, name, err := s.object(at)
	if err != nil {
		return nil, err
	}
	for _, given := range append([]json.RawMessage{found.Example, found.Const, found.Default}, found.Examples...) {
		if given != nil {
			return given, nil
		}
	}
	if name != "" && slices.Contains(in, name) || len(in) >= deepest {
		return json.RawMessage("null"), nil
	}
	in = append(slices.Clone(in), name)
	switch {
	case len(found.Enum) > 0:
		for _, e := range found.Enum {
			if !strings.HasSuffix(text(e), "_UNSPECIFIED") {
				return e, nil
			}
		}
		return found.Enum[0], nil
	case len(found.OneOf) > 0 && len(found.Properties) == 0:
		return s.value(found.OneOf[0], request, in)
	case len(found.AnyOf) > 0 && len(found.Properties) == 0:
		return s.value(found.AnyOf[0], request, in)
	case found.Items != nil:
		item, err := s.value(found.Items, request, in)
		if string(item) == "null" {
			item = nil
		}
		return slices.Concat([]byte("["), item, []byte("]")), err
	case slices.Contains(found.Type, "boolean"):
		return json.RawMessage("true"), nil
	case slices.Contains(found.Type, "integer"), slices.Contains(found.Type, "number"):
		if found.Minimum != "" && found.Minimum != "0" {
			return json.RawMessage(found.Minimum), nil
		}
		return json.RawMessage("1"), nil
	case slices.Contains(found.Type, "string"):
		value, ok := formats[found.Format]
		if !ok {
			value = "string"
		}
		return json.Marshal(value)
	}
	var members [][]byte
	for _, p := range found.Properties {
		if request && !asked(found, p) {
			continue
		}
		value, err := s.value(p.Value, request, in)
		if err != nil {
			return nil, err
		}
		key, err := json.Marshal(p.Name)
		if err != nil {
			return nil, err
		}
		members = append(members, slices.Concat(key, []byte(":"), value))
	}
	return slices.Concat([]byte("{"), bytes.Join(members, []byte(",")), []byte("}")), nil
}

// asked reports whether the sample of a request has a property: made-up values of what need not be there would only be refused.
func asked(of *schema, p member[*schema]) bool {
	if p.Value.ReadOnly {
		return false
	}
	return len(of.Required) == 0 || slices.Contains(of.Required, p.Name) || p.Value.Example != nil
}
