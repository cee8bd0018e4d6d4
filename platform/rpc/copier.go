package rpc

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// MaxMessageBytes is the largest encoded message that crosses the seam, in either direction.
const MaxMessageBytes = 4 << 20

// maxDepth is how deep messages may nest. protobuf refuses to decode deeper ones.
const maxDepth = 10_000

var (
	errTooLarge    = fmt.Errorf("message is larger than %d bytes", MaxMessageBytes)
	errInvalidUTF8 = errors.New("message has a string that is not valid UTF-8")
	errTooDeep     = fmt.Errorf("message nests deeper than %d", maxDepth)
)

// Copier copies a message for a call in this process. On the way it finds what the wire would refuse: strings that are not valid
// UTF-8, too many bytes, too deep a nesting. The generated Copy functions use it; its methods are for them alone.
type Copier struct {
	bytes   int // never less than the encoded size
	depth   int
	problem error
}

// scalarBytes is the most that a value needs that is not a string or bytes: a tag of 5 and a varint of 10. It is also more than the tag
// and length of anything else.
const scalarBytes = 15

// Enter begins a message with so many set or unset fields that are not strings or bytes. It reports whether to go on.
func (c *Copier) Enter(fields int) bool {
	c.bytes += scalarBytes * (fields + 1)
	if c.depth++; c.depth > maxDepth {
		c.problem = errTooDeep
		return false
	}
	return true
}

// EnterMap begins a map with so many entries. An entry is a message when it is encoded.
func (c *Copier) EnterMap(entries int) {
	c.bytes += 3 * scalarBytes * entries
	if c.depth++; c.depth > maxDepth {
		c.problem = errTooDeep
	}
}

// Leave ends a message or a map.
func (c *Copier) Leave() { c.depth-- }

// Grow counts repeated values that are not strings, bytes or messages.
func (c *Copier) Grow(values int) { c.bytes += scalarBytes * values }

// String takes a string over.
func (c *Copier) String(s string) string {
	c.bytes += len(s) + scalarBytes
	if !utf8.ValidString(s) {
		c.problem = errInvalidUTF8
	}
	return s
}

// OptionalString copies a string that may be unset.
func (c *Copier) OptionalString(s *string) *string {
	if s == nil {
		return nil
	}
	copied := c.String(*s)
	return &copied
}

// Strings copies strings.
func (c *Copier) Strings(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	copied := make([]string, len(list))
	for i, s := range list {
		copied[i] = c.String(s)
	}
	return copied
}

// Bytes copies bytes that are the same unset as empty.
func (c *Copier) Bytes(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return c.OptionalBytes(b)
}

// OptionalBytes copies bytes that may be unset.
func (c *Copier) OptionalBytes(b []byte) []byte {
	if b == nil {
		return nil
	}
	c.bytes += len(b) + scalarBytes
	return append(make([]byte, 0, len(b)), b...)
}

// CopyOptional copies a number or flag that may be unset.
func CopyOptional[T any](v *T) *T {
	if v == nil {
		return nil
	}
	copied := *v
	return &copied
}

// CopyList copies numbers, flags or enums.
func CopyList[T any](c *Copier, list []T) []T {
	if len(list) == 0 {
		return nil
	}
	c.Grow(len(list))
	return append(make([]T, 0, len(list)), list...)
}

// CopyTimestamp copies a timestamp.
func CopyTimestamp(c *Copier, t *timestamppb.Timestamp) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	copied := &timestamppb.Timestamp{Seconds: t.Seconds, Nanos: t.Nanos}
	if c.Enter(2) {
		c.Unknown(t, copied)
	}
	c.Leave()
	return copied
}

// CopyDuration copies a duration.
func CopyDuration(c *Copier, d *durationpb.Duration) *durationpb.Duration {
	if d == nil {
		return nil
	}
	copied := &durationpb.Duration{Seconds: d.Seconds, Nanos: d.Nanos}
	if c.Enter(2) {
		c.Unknown(d, copied)
	}
	c.Leave()
	return copied
}

// CopyMessage copies a message for which there is no generated function: one of a contract that is not ours. It encodes and
// decodes it.
func CopyMessage[M proto.Message](c *Copier, m M) M {
	if !m.ProtoReflect().IsValid() {
		return m
	}
	encoded, err := proto.Marshal(m)
	if err != nil {
		c.problem = errInvalidUTF8
		return m
	}
	c.bytes += len(encoded) + scalarBytes
	copied := m.ProtoReflect().New().Interface().(M)
	levels := maxDepth - c.depth
	if levels < 1 || (proto.UnmarshalOptions{RecursionLimit: levels}).Unmarshal(encoded, copied) != nil {
		c.problem = errTooDeep
	}
	return copied
}

// Unknown copies the fields that this build does not know, which a newer peer may have set.
func (c *Copier) Unknown(from, to protoreflect.ProtoMessage) {
	if unknown := from.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		c.bytes += len(unknown)
		to.ProtoReflect().SetUnknown(append(protoreflect.RawFields(nil), unknown...))
	}
}

// CopyFunc is a generated function that copies a message.
type CopyFunc[M any] func(*Copier, *M) *M

// copyMessage copies a message and reports what the wire would refuse. Nil is an empty message, as it is on the wire.
func copyMessage[M any](copyFunc CopyFunc[M], m *M) (*M, error) {
	if m == nil {
		return new(M), nil
	}
	var c Copier
	copied := copyFunc(&c, m)
	if c.problem != nil {
		return nil, c.problem
	}
	// The bound is cheap and seldom reached; only then is the exact size worth its price.
	if c.bytes > MaxMessageBytes {
		if message, ok := any(m).(proto.Message); ok && proto.Size(message) > MaxMessageBytes {
			return nil, errTooLarge
		}
	}
	return copied, nil
}

// CheckMessage is for generated code: it reports what the wire would refuse in a message.
func CheckMessage[M any](copyFunc CopyFunc[M]) func(proto.Message) error {
	return func(m proto.Message) error {
		_, err := copyMessage(copyFunc, any(m).(*M))
		return err
	}
}
