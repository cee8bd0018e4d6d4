package main

import (
	"fmt"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	timeExample = "2026-11-21T18:04:05.123456Z"
	maskExample = "title,description"
	// bytesExample is the head of a CSV.
	bytesExample = "c2t1LHRpdGxlLHByaWNlX2Ftb3VudCxwcmljZV9jdXJyZW5jeQo="
)

// addSchema adds a schema. Names are short, so two messages of one name cannot both be public.
func (d *document) addSchema(name, of string, schema members) error {
	if other := d.schemas[name]; other != "" && other != of {
		return fmt.Errorf("%s and %s are both public: one of them needs another name", other, of)
	}
	d.schemas[name] = of
	d.Components.Schemas = append(d.Components.Schemas, member{name, schema})
	return nil
}

// message returns the schema of a message, or a reference to it.
func (d *document) message(message *protogen.Message) (members, error) {
	switch message.Desc.FullName() {
	case "google.protobuf.Timestamp":
		return members{{"type", "string"}, {"format", "date-time"}, {"examples", []string{timeExample}}}, nil
	case "google.protobuf.Duration":
		return members{{"type", "string"}, {"format", "duration"}, {"examples", []string{"1.5s"}}}, nil
	case "google.protobuf.FieldMask":
		return members{{"type", "string"}, {"examples", []string{maskExample}}}, nil
	}
	name, full := string(message.Desc.Name()), string(message.Desc.FullName())
	if d.schemas[name] == full {
		return ref("schemas", name), nil
	}
	if err := d.addSchema(name, full, nil); err != nil {
		return nil, err
	}
	at := len(d.Components.Schemas) - 1 // Its place is before those inside of it.
	schema, err := d.object(message, nil)
	if err != nil {
		return nil, err
	}
	d.Components.Schemas[at].value = schema
	return ref("schemas", name), nil
}

// object returns the schema of a message without some of its fields.
func (d *document) object(message *protogen.Message, without map[protoreflect.Name]bool) (members, error) {
	var properties members
	var must []string
	for _, field := range message.Fields {
		if without[field.Desc.Name()] {
			continue
		}
		schema, err := d.field(field)
		if err != nil {
			return nil, err
		}
		properties = append(properties, member{field.Desc.JSONName(), schema})
		if required(field) && field.Desc.Name() != "request_id" { // The header may hold that.
			must = append(must, field.Desc.JSONName())
		}
	}
	return members{{"type", "object"}}.with("description", prose(message.Comments.Leading)).with("required", must).with("properties", properties), nil
}

// field returns the schema of a field.
func (d *document) field(field *protogen.Field) (members, error) {
	description := prose(field.Comments.Leading)
	given := rules(field.Desc)
	if field.Desc.IsMap() {
		return nil, fmt.Errorf("%s: maps are not public yet: teach protoc-gen-openapi", field.Desc.FullName())
	}
	if field.Desc.IsList() {
		items, err := d.value(field, given.GetRepeated().GetItems())
		if err != nil {
			return nil, err
		}
		schema := members{{"type", "array"}}.with("description", description)
		if n := given.GetRepeated().GetMinItems(); n > 0 {
			schema = append(schema, member{"minItems", n})
		}
		if n := given.GetRepeated().GetMaxItems(); n > 0 {
			schema = append(schema, member{"maxItems", n})
		}
		return append(schema, member{"items", items}), nil
	}
	schema, err := d.value(field, given)
	if err != nil {
		return nil, err
	}
	// The limits of a number that is a string have no word in a schema.
	if number := given.GetInt64(); number != nil && number.HasGte() && number.HasLte() {
		description = strings.TrimSpace(fmt.Sprintf("%s From %d to %d.", description, number.GetGte(), number.GetLte()))
	}
	return schema.with("description", description), nil
}

// value returns the schema of one value of a field.
func (d *document) value(field *protogen.Field, given *validate.FieldRules) (members, error) {
	switch field.Desc.Kind() {
	case protoreflect.MessageKind:
		return d.message(field.Message)
	case protoreflect.EnumKind:
		return d.enum(field.Enum)
	case protoreflect.StringKind:
		s := members{{"type", "string"}}
		r := given.GetString()
		if r.GetMinLen() > 0 {
			s = append(s, member{"minLength", r.GetMinLen()})
		}
		if r.HasMaxLen() {
			s = append(s, member{"maxLength", r.GetMaxLen()})
		}
		return s.with("pattern", r.GetPattern()).with("examples", r.GetExample()), nil
	case protoreflect.Int32Kind:
		s := members{{"type", "integer"}, {"format", "int32"}}
		r := given.GetInt32()
		if r.HasGte() {
			s = append(s, member{"minimum", r.GetGte()})
		}
		if r.HasLte() {
			s = append(s, member{"maximum", r.GetLte()})
		}
		if len(r.GetExample()) > 0 {
			s = append(s, member{"examples", r.GetExample()})
		}
		return s, nil
	case protoreflect.Int64Kind:
		s := members{{"type", "string"}, {"format", "int64"}}
		var examples []string
		for _, n := range given.GetInt64().GetExample() {
			examples = append(examples, fmt.Sprint(n))
		}
		return s.with("examples", examples), nil
	case protoreflect.BoolKind:
		return members{{"type", "boolean"}}, nil
	case protoreflect.BytesKind:
		return members{{"type", "string"}, {"contentEncoding", "base64"}, {"examples", []string{bytesExample}}}, nil
	}
	return nil, fmt.Errorf("%s: %s is not public yet: teach protoc-gen-openapi", field.Desc.FullName(), field.Desc.Kind())
}

// enum returns a reference to the schema of an enum: its words but for the one that says nothing.
func (d *document) enum(enum *protogen.Enum) (members, error) {
	name, full := string(enum.Desc.Name()), string(enum.Desc.FullName())
	if d.schemas[name] == full {
		return ref("schemas", name), nil
	}
	description := prose(enum.Comments.Leading) + "\n"
	var words []string
	for _, value := range enum.Values[1:] {
		words = append(words, string(value.Desc.Name()))
		description += "\n- `" + string(value.Desc.Name()) + "`: " + prose(value.Comments.Leading)
	}
	return ref("schemas", name), d.addSchema(name, full, members{{"type", "string"}, {"description", description}, {"enum", words}})
}

// rules returns what the contract asks of a field.
func rules(field protoreflect.FieldDescriptor) *validate.FieldRules {
	given, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	return given
}

// required reports whether a request is refused without the field.
func required(field *protogen.Field) bool {
	given := rules(field.Desc)
	return given.GetRequired() || given.GetString().GetMinLen() > 0 || given.GetRepeated().GetMinItems() > 0 ||
		given.GetInt32().GetGte() > 0 || given.GetInt64().GetGte() > 0
}

// example returns a message as it may look, without some of its fields. Fields without an example are left out.
func example(message *protogen.Message, without map[protoreflect.Name]bool) members {
	object := members{}
	for _, field := range message.Fields {
		if without[field.Desc.Name()] {
			continue
		}
		given := rules(field.Desc)
		if field.Desc.IsList() {
			if value := exampleOf(field, given.GetRepeated().GetItems()); value != nil {
				object = append(object, member{field.Desc.JSONName(), []any{value}})
			}
		} else if value := exampleOf(field, given); value != nil {
			object = append(object, member{field.Desc.JSONName(), value})
		}
	}
	return object
}

// exampleOf returns a value of a field, or nil.
func exampleOf(field *protogen.Field, given *validate.FieldRules) any {
	switch field.Desc.Kind() {
	case protoreflect.StringKind:
		if e := given.GetString().GetExample(); len(e) > 0 {
			return e[0]
		}
	case protoreflect.Int32Kind:
		if e := given.GetInt32().GetExample(); len(e) > 0 {
			return e[0]
		}
	case protoreflect.Int64Kind:
		if e := given.GetInt64().GetExample(); len(e) > 0 {
			return fmt.Sprint(e[0])
		}
	case protoreflect.BytesKind:
		return bytesExample
	case protoreflect.EnumKind:
		number := protoreflect.EnumNumber(1)
		if e := given.GetEnum().GetExample(); len(e) > 0 {
			number = protoreflect.EnumNumber(e[0])
		}
		if value := field.Desc.Enum().Values().ByNumber(number); value != nil {
			return string(value.Name())
		}
	case protoreflect.MessageKind:
		switch field.Message.Desc.FullName() {
		case "google.protobuf.Timestamp":
			return timeExample
		case "google.protobuf.FieldMask":
			return maskExample
		case "cleave.type.v1.Money": // Checkouts are quicker without an example among its rules.
			amount := "1190"
			if field.Desc.Name() == "total" { // Of two pieces.
				amount = "2380"
			}
			return members{{"amount", amount}, {"currency", "EUR"}}
		}
		return example(field.Message, nil)
	}
	return nil
}
