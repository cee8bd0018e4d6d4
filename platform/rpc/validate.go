package rpc

import (
	"context"
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// validate holds the request against the rules of its contract. What is wrong is told by field path, in the message and as a
// detail of type buf.validate.Violations.
func validate(validator protovalidate.Validator, method *Method, next Next) Next {
	request := method.NewRequest().ProtoReflect().Descriptor()
	if !ruled(request) {
		return next
	}
	only := protovalidate.WithFilter(skip(unruled(request)))
	return func(ctx context.Context, request proto.Message) (proto.Message, error) {
		err := validator.Validate(request, only)
		if err == nil {
			return next(ctx, request)
		}
		var violations *protovalidate.ValidationError
		if !errors.As(err, &violations) {
			return nil, fmt.Errorf("validate: %w", err)
		}
		invalid := connect.NewError(connect.CodeInvalidArgument, violations)
		if detail, err := connect.NewErrorDetail(violations.ToProto()); err == nil {
			invalid.AddDetail(detail)
		}
		return nil, invalid
	}
}

// compileRules compiles the rules of a message and of those inside it, and reports one that cannot be compiled. It would be met by
// the first caller who sends such a message otherwise.
func compileRules(validator protovalidate.Validator, message protoreflect.MessageDescriptor) error {
	for _, desc := range within(message) {
		var broken *protovalidate.CompilationError
		if err := validator.Validate(dynamicpb.NewMessage(desc)); errors.As(err, &broken) {
			return fmt.Errorf("rules of %s: %w", desc.FullName(), err)
		}
	}
	return nil
}

// skip is a filter that leaves out the fields. The validator would look into each message inside a message, rules or not, which
// takes longer than the rest of a call.
type skip map[protoreflect.FieldDescriptor]bool

func (s skip) ShouldValidate(_ protoreflect.Message, desc protoreflect.Descriptor) bool {
	field, ok := desc.(protoreflect.FieldDescriptor)
	return !ok || !s[field]
}

// unruled returns the fields of a message, and of those inside it, that lead to no rule.
func unruled(message protoreflect.MessageDescriptor) map[protoreflect.FieldDescriptor]bool {
	found := map[protoreflect.FieldDescriptor]bool{}
	for _, desc := range within(message) {
		for i := range desc.Fields().Len() {
			field := desc.Fields().Get(i)
			if inner := messageOf(field); inner != nil && !fieldRuled(field) && !ruled(inner) {
				found[field] = true
			}
		}
	}
	return found
}

// ruled reports whether there is a rule for a message or for one inside it.
func ruled(message protoreflect.MessageDescriptor) bool {
	for _, desc := range within(message) {
		if rules, err := protovalidate.ResolveMessageRules(desc); rules != nil || err != nil {
			return true
		}
		for i := range desc.Oneofs().Len() {
			if rules, err := protovalidate.ResolveOneofRules(desc.Oneofs().Get(i)); rules != nil || err != nil {
				return true
			}
		}
		for i := range desc.Fields().Len() {
			if fieldRuled(desc.Fields().Get(i)) {
				return true
			}
		}
	}
	return false
}

func fieldRuled(field protoreflect.FieldDescriptor) bool {
	rules, err := protovalidate.ResolveFieldRules(field)
	return rules != nil || err != nil
}

// within returns a message and those that can be inside it.
func within(message protoreflect.MessageDescriptor) []protoreflect.MessageDescriptor {
	seen := map[protoreflect.FullName]bool{message.FullName(): true}
	all := []protoreflect.MessageDescriptor{message}
	for next := 0; next < len(all); next++ {
		fields := all[next].Fields()
		for i := range fields.Len() {
			if inner := messageOf(fields.Get(i)); inner != nil && !seen[inner.FullName()] {
				seen[inner.FullName()] = true
				all = append(all, inner)
			}
		}
	}
	return all
}

// messageOf returns the message that a field, list or map holds, or nil.
func messageOf(field protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if field.IsMap() {
		field = field.MapValue()
	}
	return field.Message()
}
