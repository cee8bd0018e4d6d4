package rpc_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/rpc"
)

// drawPayload draws a payload that the wire takes, of every shape: nil and empty, set and unset, with fields that are not known.
func drawPayload(t *rapid.T, depth int) *parityv1.Payload {
	text := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 20, 60))
	data := rapid.OneOf(rapid.Just[[]byte](nil), rapid.SliceOfN(rapid.Byte(), 0, 20))
	child := func(label string) *parityv1.Payload {
		if depth == 0 || rapid.IntRange(0, 2).Draw(t, label) > 0 {
			return nil
		}
		return drawPayload(t, depth-1)
	}
	m := &parityv1.Payload{
		Text:    text.Draw(t, "text"),
		Data:    data.Draw(t, "data"),
		Texts:   rapid.OneOf(rapid.SliceOfN(text, 0, 3), rapid.Just(make([]string, 100))).Draw(t, "texts"),
		Counts:  rapid.MapOfN(text, rapid.Int64(), 0, 3).Draw(t, "counts"),
		Child:   child("child"),
		Kind:    parityv1.Kind(rapid.Int32().Draw(t, "kind")),
		Ratio:   rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Copysign(0, -1)})).Draw(t, "ratio"),
		Numbers: rapid.OneOf(rapid.SliceOfN(rapid.Int32(), 0, 3), rapid.Just(slices.Repeat([]int32{-1}, 100))).Draw(t, "numbers"),
		Large:   rapid.Uint64().Draw(t, "large"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "items") {
		m.Items = append(m.Items, child("item"))
	}
	for _, key := range rapid.SliceOfNDistinct(text, 0, 2, rapid.ID[string]).Draw(t, "children") {
		if m.Children == nil {
			m.Children = map[string]*parityv1.Payload{}
		}
		m.Children[key] = child("child of map")
	}
	switch rapid.IntRange(0, 5).Draw(t, "choice") {
	case 0:
		m.Choice = &parityv1.Payload_ChoiceText{ChoiceText: text.Draw(t, "choice text")}
	case 1:
		m.Choice = &parityv1.Payload_ChoiceChild{ChoiceChild: child("choice child")}
	case 2:
		m.Choice = &parityv1.Payload_ChoiceData{ChoiceData: data.Draw(t, "choice data")}
	case 3:
		m.Choice = (*parityv1.Payload_ChoiceData)(nil)
	}
	if rapid.Bool().Draw(t, "maybe") {
		m.Maybe = proto.String(text.Draw(t, "maybe text"))
	}
	m.MaybeData = data.Draw(t, "maybe data")
	if rapid.Bool().Draw(t, "flag") {
		m.Flag = proto.Bool(rapid.Bool().Draw(t, "flag value"))
	}
	if rapid.Bool().Draw(t, "time") {
		m.Time = &timestamppb.Timestamp{Seconds: rapid.Int64().Draw(t, "seconds"), Nanos: rapid.Int32().Draw(t, "nanos")}
		drawUnknown(t, m.Time)
	}
	drawUnknown(t, m)
	return m
}

func drawUnknown(t *rapid.T, m proto.Message) {
	if rapid.IntRange(0, 3).Draw(t, "unknown") > 0 {
		return
	}
	field := protowire.AppendTag(nil, 1007, protowire.BytesType)
	m.ProtoReflect().SetUnknown(protowire.AppendBytes(field, rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "unknown bytes")))
}

func encode(t interface{ Fatal(...any) }, m proto.Message) []byte {
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// A copy is what the other side of a network would get.
func TestCopyIsWhatDecodingGives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawPayload(t, 3)
		encoded := encode(t, m)
		decoded := new(parityv1.Payload)
		if err := proto.Unmarshal(encoded, decoded); err != nil {
			t.Fatal(err)
		}
		var c rpc.Copier
		copied := parityv1cleave.CopyPayload(&c, m)
		if c.Problem() != nil {
			t.Fatalf("copy: %v", c.Problem())
		}
		if !proto.Equal(copied, decoded) {
			t.Fatalf("copy is\n%v, decoded is\n%v", copied, decoded)
		}
		if difference := shapeDifference(copied, decoded); difference != "" {
			t.Fatalf("copy differs from decoded in %s", difference)
		}
		if c.Bound() < len(encoded) {
			t.Fatalf("bound is %d, encoded size is %d", c.Bound(), len(encoded))
		}
		if changed := encode(t, m); string(changed) != string(encoded) {
			t.Fatal("copying changed the original")
		}
	})
}

// A copy shares no memory with the original.
func TestCopySharesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawPayload(t, 3)
		var c rpc.Copier
		copied := parityv1cleave.CopyPayload(&c, m)
		before := encode(t, copied)
		scramble(m)
		if after := encode(t, copied); string(before) != string(after) {
			t.Fatalf("a change of the original changed the copy to\n%v", copied)
		}
		original := encode(t, m)
		scramble(copied)
		if after := encode(t, m); string(original) != string(after) {
			t.Fatal("a change of the copy changed the original")
		}
	})
}

// scramble changes everything in a payload in place.
func scramble(m *parityv1.Payload) {
	if m == nil {
		return
	}
	flip := func(b []byte) {
		for i := range b {
			b[i] ^= 0xff
		}
	}
	m.Text = "changed"
	flip(m.Data)
	flip(m.MaybeData)
	flip(m.ProtoReflect().GetUnknown())
	for i := range m.Texts {
		m.Texts[i] = "changed"
	}
	for i := range m.Numbers {
		m.Numbers[i]++
	}
	if m.Maybe != nil {
		*m.Maybe = "changed"
	}
	if m.Flag != nil {
		*m.Flag = !*m.Flag
	}
	if m.Time != nil {
		flip(m.Time.ProtoReflect().GetUnknown())
		m.Time.Seconds++
	}
	switch choice := m.Choice.(type) {
	case *parityv1.Payload_ChoiceText:
		choice.ChoiceText = "changed"
	case *parityv1.Payload_ChoiceChild:
		scramble(choice.ChoiceChild)
	case *parityv1.Payload_ChoiceData:
		if choice != nil { // The draw has a nil one.
			flip(choice.ChoiceData)
		}
	}
	for _, child := range m.Children {
		scramble(child)
	}
	for _, item := range m.Items {
		scramble(item)
	}
	scramble(m.Child)
	clear(m.Counts)
	clear(m.Children)
	clear(m.Items)
}

// shapeDifference returns the first field that is nil in one message and empty in the other, which proto.Equal does not see.
func shapeDifference(a, b *parityv1.Payload) string {
	for name, same := range map[string]bool{
		"data": (a.Data == nil) == (b.Data == nil), "texts": (a.Texts == nil) == (b.Texts == nil),
		"counts": (a.Counts == nil) == (b.Counts == nil), "children": (a.Children == nil) == (b.Children == nil),
		"items": (a.Items == nil) == (b.Items == nil), "numbers": (a.Numbers == nil) == (b.Numbers == nil),
		"maybe data": (a.MaybeData == nil) == (b.MaybeData == nil), "choice": (a.Choice == nil) == (b.Choice == nil),
	} {
		if !same {
			return name
		}
	}
	for i := range a.Items {
		if a.Items[i] == nil || b.Items[i] == nil {
			return "items"
		}
		if difference := shapeDifference(a.Items[i], b.Items[i]); difference != "" {
			return "items." + difference
		}
	}
	if a.Child != nil {
		if difference := shapeDifference(a.Child, b.Child); difference != "" {
			return "child." + difference
		}
	}
	return ""
}

// What the copy refuses is what the wire refuses.
func TestCopyRefusesWhatTheWireRefuses(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &parityv1.Payload{Text: string(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "text"))}
		switch rapid.IntRange(0, 3).Draw(t, "where") {
		case 0:
			m = &parityv1.Payload{Texts: []string{"", m.Text}}
		case 1:
			m = &parityv1.Payload{Items: []*parityv1.Payload{{Maybe: &m.Text}}}
		case 2:
			m = &parityv1.Payload{Children: map[string]*parityv1.Payload{m.Text: {}}}
		}
		var c rpc.Copier
		parityv1cleave.CopyPayload(&c, m)
		_, err := proto.Marshal(m)
		if (err == nil) != (c.Problem() == nil) {
			t.Fatalf("copy: %v, encode: %v", c.Problem(), err)
		}
	})
}

func TestDepthIsThatOfTheWire(t *testing.T) {
	t.Parallel()
	// What can add to the nesting, and how often it can before the wire refuses.
	type level struct {
		wrap func(*parityv1.Payload) *parityv1.Payload
		most int
	}
	levels := map[string]level{
		"field": {func(m *parityv1.Payload) *parityv1.Payload { return &parityv1.Payload{Child: m} }, 9_999},
		"list":  {func(m *parityv1.Payload) *parityv1.Payload { return &parityv1.Payload{Items: []*parityv1.Payload{m}} }, 9_999},
		"oneof": {func(m *parityv1.Payload) *parityv1.Payload {
			return &parityv1.Payload{Choice: &parityv1.Payload_ChoiceChild{ChoiceChild: m}}
		}, 9_999},
		"map": {func(m *parityv1.Payload) *parityv1.Payload {
			return &parityv1.Payload{Children: map[string]*parityv1.Payload{"": m}}
		}, 4_999},
	}
	innermost := map[string]*parityv1.Payload{
		"text": {Text: "x"}, "time": {Time: &timestamppb.Timestamp{}}, "map": {Counts: map[string]int64{"": 0}},
	}
	for name, level := range levels {
		for end, m := range innermost {
			for range level.most - 2 {
				m = level.wrap(m)
			}
			taken, refused := 0, 0
			for range 4 {
				var c rpc.Copier
				parityv1cleave.CopyPayload(&c, m)
				err := proto.Unmarshal(encode(t, m), new(parityv1.Payload))
				if (err == nil) != (c.Problem() == nil) {
					t.Errorf("%s around %s: copy: %v, decode: %v", name, end, c.Problem(), err)
				}
				if err == nil {
					taken++
				} else {
					refused++
				}
				m = level.wrap(m)
			}
			if taken == 0 || refused == 0 {
				t.Errorf("%s around %s: %d taken, %d refused", name, end, taken, refused)
			}
		}
	}
}

// A message that contains itself has no end; it is refused and not copied for ever.
func TestCopyOfAnEndlessMessage(t *testing.T) {
	t.Parallel()
	m := &parityv1.Payload{}
	m.Child = m
	var c rpc.Copier
	parityv1cleave.CopyPayload(&c, m)
	if c.Problem() == nil || !strings.Contains(c.Problem().Error(), "nests deeper") {
		t.Fatalf("problem is %v", c.Problem())
	}
}
