package main

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// generateCopy writes the function that copies a message, and those of the messages inside it. The copy is what decoding the
// encoded message gives: empty lists and maps become nil, nil elements become empty messages.
func generateCopy(g *protogen.GeneratedFile, plugin *protogen.Plugin, message *protogen.Message) error {
	if message.Desc.IsMapEntry() {
		return nil
	}
	if message.Desc.ExtensionRanges().Len() > 0 {
		return fmt.Errorf("%s: the seam copies no messages with extensions", message.Desc.FullName())
	}
	name := message.GoIdent.GoName
	g.P()
	g.P("// Copy", name, " copies the message for a call in this process.")
	g.P("func Copy", name, "(c *", rpcPackage.Ident("Copier"), ", m *", message.GoIdent, ") *", message.GoIdent, " {")
	g.P("if m == nil {")
	g.P("return nil")
	g.P("}")
	plain := 0
	for _, field := range message.Fields {
		if !field.Desc.IsList() && !field.Desc.IsMap() && !isText(field) && field.Message == nil {
			plain++
		}
	}
	g.P("r := new(", message.GoIdent, ")")
	g.P("if !c.Enter(", plain, ") {")
	g.P("return r")
	g.P("}")
	for _, field := range message.Fields {
		if field.Oneof != nil && !field.Oneof.Desc.IsSynthetic() {
			continue
		}
		copyField(g, plugin, field)
	}
	for _, oneof := range message.Oneofs {
		if !oneof.Desc.IsSynthetic() {
			copyOneof(g, plugin, oneof)
		}
	}
	g.P("c.Unknown(m, r)")
	g.P("c.Leave()")
	g.P("return r")
	g.P("}")
	for _, nested := range message.Messages {
		if err := generateCopy(g, plugin, nested); err != nil {
			return err
		}
	}
	return nil
}

func isText(field *protogen.Field) bool {
	return field.Desc.Kind() == protoreflect.StringKind || field.Desc.Kind() == protoreflect.BytesKind
}

func copyField(g *protogen.GeneratedFile, plugin *protogen.Plugin, field *protogen.Field) {
	name := field.GoName
	from, to := "m."+name, "r."+name
	switch {
	case field.Desc.IsMap():
		key, value := field.Message.Fields[0], field.Message.Fields[1]
		g.P("if len(", from, ") > 0 {")
		g.P(to, " = make(map[", goType(g, key), "]", goType(g, value), ", len(", from, "))")
		g.P("c.EnterMap(len(", from, "))")
		g.P("for k, v := range ", from, " {")
		k := "k"
		if isText(key) {
			k = "c.String(k)"
		}
		if value.Message != nil {
			orEmpty(g, value, "v")
		}
		g.P(to, "[", k, "] = ", copyValue(g, plugin, value, "v"))
		g.P("}")
		g.P("c.Leave()")
		g.P("}")
	case field.Desc.IsList() && field.Message != nil:
		g.P("if len(", from, ") > 0 {")
		g.P(to, " = make([]*", field.Message.GoIdent, ", len(", from, "))")
		g.P("for i, v := range ", from, " {")
		orEmpty(g, field, "v")
		g.P(to, "[i] = ", copyValue(g, plugin, field, "v"))
		g.P("}")
		g.P("}")
	case field.Desc.IsList() && field.Desc.Kind() == protoreflect.StringKind:
		g.P(to, " = c.Strings(", from, ")")
	case field.Desc.IsList() && field.Desc.Kind() == protoreflect.BytesKind:
		g.P("if len(", from, ") > 0 {")
		g.P(to, " = make([][]byte, len(", from, "))")
		g.P("for i, v := range ", from, " {")
		g.P(to, "[i] = append([]byte{}, c.OptionalBytes(v)...)")
		g.P("}")
		g.P("}")
	case field.Desc.IsList():
		g.P(to, " = ", rpcPackage.Ident("CopyList"), "(c, ", from, ")")
	case field.Message != nil:
		g.P(to, " = ", copyValue(g, plugin, field, from))
	case field.Desc.Kind() == protoreflect.StringKind && field.Desc.HasPresence():
		g.P(to, " = c.OptionalString(", from, ")")
	case field.Desc.Kind() == protoreflect.BytesKind && field.Desc.HasPresence():
		g.P(to, " = c.OptionalBytes(", from, ")")
	case field.Desc.HasPresence():
		g.P(to, " = ", rpcPackage.Ident("CopyOptional"), "(", from, ")")
	default:
		g.P(to, " = ", copyValue(g, plugin, field, from))
	}
}

func copyOneof(g *protogen.GeneratedFile, plugin *protogen.Plugin, oneof *protogen.Oneof) {
	g.P("switch v := m.", oneof.GoName, ".(type) {")
	for _, field := range oneof.Fields {
		g.P("case *", field.GoIdent, ":")
		g.P("if v != nil {")
		value := "v." + field.GoName
		if field.Message != nil {
			g.P("inner := ", value)
			orEmpty(g, field, "inner")
			value = "inner"
		}
		copied := copyValue(g, plugin, field, value)
		if field.Desc.Kind() == protoreflect.BytesKind {
			copied = "append([]byte{}, c.OptionalBytes(" + value + ")...)"
		}
		g.P("r.", oneof.GoName, " = &", field.GoIdent, "{", field.GoName, ": ", copied, "}")
		g.P("}")
	}
	g.P("}")
}

// orEmpty replaces a nil message by an empty one, where the wire knows no nil.
func orEmpty(g *protogen.GeneratedFile, field *protogen.Field, variable string) {
	g.P("if ", variable, " == nil {")
	g.P(variable, " = new(", field.Message.GoIdent, ")")
	g.P("}")
}

// copyValue returns the expression that copies one value.
func copyValue(g *protogen.GeneratedFile, plugin *protogen.Plugin, field *protogen.Field, value string) string {
	switch {
	case field.Message != nil:
		return copyFunc(g, plugin, field.Message) + "(c, " + value + ")"
	case field.Desc.Kind() == protoreflect.StringKind:
		return "c.String(" + value + ")"
	case field.Desc.Kind() == protoreflect.BytesKind:
		return "c.Bytes(" + value + ")"
	default:
		return value
	}
}

// copyFunc returns the name of the function that copies a message: a generated one if the contract is ours.
func copyFunc(g *protogen.GeneratedFile, plugin *protogen.Plugin, message *protogen.Message) string {
	switch message.Desc.FullName() {
	case "google.protobuf.Timestamp":
		return g.QualifiedGoIdent(rpcPackage.Ident("CopyTimestamp"))
	case "google.protobuf.Duration":
		return g.QualifiedGoIdent(rpcPackage.Ident("CopyDuration"))
	}
	file := plugin.FilesByPath[message.Desc.ParentFile().Path()]
	if !strings.HasPrefix(string(file.Desc.Package()), "cleave.") {
		return g.QualifiedGoIdent(rpcPackage.Ident("CopyMessage"))
	}
	_, path := callSide(file)
	return g.QualifiedGoIdent(path.Ident("Copy" + message.GoIdent.GoName))
}

// goType returns the Go type of a map's key or value.
func goType(g *protogen.GeneratedFile, field *protogen.Field) string {
	switch field.Desc.Kind() {
	case protoreflect.BoolKind:
		return "bool"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return "int32"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return "uint32"
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "int64"
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "uint64"
	case protoreflect.FloatKind:
		return "float32"
	case protoreflect.DoubleKind:
		return "float64"
	case protoreflect.StringKind:
		return "string"
	case protoreflect.BytesKind:
		return "[]byte"
	case protoreflect.EnumKind:
		return "" + g.QualifiedGoIdent(field.Enum.GoIdent)
	default:
		return "*" + g.QualifiedGoIdent(field.Message.GoIdent)
	}
}
