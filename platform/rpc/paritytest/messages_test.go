package paritytest

import (
	"context"
	"math"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// echo answers with the payload of the request.
func echo(_ context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	return &parityv1.CallResponse{Payload: request.GetPayload()}, nil
}

// decoded returns what a payload is after it was encoded.
func decoded(payload *parityv1.Payload) *parityv1.Payload {
	encoded, err := proto.Marshal(payload)
	if err != nil {
		panic(err)
	}
	result := new(parityv1.Payload)
	if err := proto.Unmarshal(encoded, result); err != nil {
		panic(err)
	}
	return result
}

// noteShape notes what Go can tell of a payload and the wire cannot.
func noteShape(p *Pair, m *parityv1.Payload) {
	p.Note("nil: data %t, texts %t, counts %t, children %t, child %t, items %t, numbers %t, maybe %t, maybe data %t, time %t, flag %t, choice %T",
		m.Data == nil, m.Texts == nil, m.Counts == nil, m.Children == nil, m.Child == nil, m.Items == nil, m.Numbers == nil,
		m.Maybe == nil, m.MaybeData == nil, m.Time == nil, m.Flag == nil, m.Choice)
	for _, item := range m.Items {
		p.Note("item nil: %t", item == nil)
	}
	for _, child := range m.Children {
		p.Note("child nil: %t", child == nil)
	}
	switch choice := m.GetChoice().(type) {
	case *parityv1.Payload_ChoiceChild:
		p.Note("chosen child nil: %t", choice.ChoiceChild == nil)
	case *parityv1.Payload_ChoiceData:
		p.Note("chosen data nil: %t", choice.ChoiceData == nil)
	}
}

// echoes is a case that sends a payload there and back.
func echoes(name string, payload *parityv1.Payload) Case {
	want := decoded(payload)
	shape := &Pair{}
	noteShape(shape, want)
	noteShape(shape, want)
	return Case{
		Name: name, Want: Seen{Response: &parityv1.CallResponse{Payload: want}, Notes: shape.notes},
		Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				noteShape(p, request.GetPayload())
				return echo(ctx, request)
			})
			response, err := p.Client.Call(p.Context, &parityv1.CallRequest{Payload: payload})
			seen := SeenError(err)
			if err == nil {
				noteShape(p, response.GetPayload())
				seen.Response = response
			}
			return seen
		},
	}
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	unknown := []byte{0xfa, 0x3e, 3, 'n', 'e', 'w'} // Field 1007, bytes.
	withUnknown := func(m proto.Message) { m.ProtoReflect().SetUnknown(unknown) }
	newer := &parityv1.Payload{Child: &parityv1.Payload{}, Items: []*parityv1.Payload{{}}, Time: &timestamppb.Timestamp{}}
	for _, m := range []proto.Message{newer, newer.Child, newer.Items[0], newer.Time} {
		withUnknown(m)
	}
	Run(t,
		echoes("empty", &parityv1.Payload{}),
		echoes("every field", &parityv1.Payload{
			Text: "text", Data: []byte{0, 255}, Texts: []string{"a", ""}, Counts: map[string]int64{"": -1, "n": math.MinInt64},
			Children: map[string]*parityv1.Payload{"x": {Text: "inner"}}, Child: &parityv1.Payload{Child: &parityv1.Payload{}},
			Items: []*parityv1.Payload{{Text: "1"}, {}}, Choice: &parityv1.Payload_ChoiceText{ChoiceText: "t"},
			Maybe: proto.String("m"), MaybeData: []byte("d"), Time: timestamppb.Now(), Kind: parityv1.Kind_KIND_ONE, Ratio: 1.5,
			Numbers: []int32{0, -1, math.MaxInt32}, Flag: proto.Bool(true), Large: math.MaxUint64,
		}),
		echoes("empty lists, maps and bytes", &parityv1.Payload{
			Data: []byte{}, Texts: []string{}, Counts: map[string]int64{}, Children: map[string]*parityv1.Payload{},
			Items: []*parityv1.Payload{}, Numbers: []int32{},
		}),
		echoes("optional and set to nothing", &parityv1.Payload{Maybe: proto.String(""), MaybeData: []byte{}, Flag: proto.Bool(false)}),
		echoes("nil elements", &parityv1.Payload{
			Items: []*parityv1.Payload{nil, {Text: "x"}, nil}, Children: map[string]*parityv1.Payload{"nil": nil},
		}),
		echoes("text is chosen", &parityv1.Payload{Choice: &parityv1.Payload_ChoiceText{}}),
		echoes("child is chosen", &parityv1.Payload{Choice: &parityv1.Payload_ChoiceChild{ChoiceChild: &parityv1.Payload{Text: "x"}}}),
		echoes("nil child is chosen", &parityv1.Payload{Choice: &parityv1.Payload_ChoiceChild{}}),
		echoes("data is chosen", &parityv1.Payload{Choice: &parityv1.Payload_ChoiceData{ChoiceData: []byte("x")}}),
		echoes("nil data is chosen", &parityv1.Payload{Choice: &parityv1.Payload_ChoiceData{}}),
		echoes("nil is chosen", &parityv1.Payload{Choice: (*parityv1.Payload_ChoiceText)(nil)}),
		echoes("fields that are not known here", newer),
		echoes("enum value that is not known here", &parityv1.Payload{Kind: 77}),
		echoes("negative enum value", &parityv1.Payload{Kind: -1}),
		echoes("NaN", &parityv1.Payload{Ratio: math.NaN()}),
		echoes("negative zero", &parityv1.Payload{Ratio: math.Copysign(0, -1)}),
		echoes("infinity", &parityv1.Payload{Ratio: math.Inf(-1)}),
		echoes("bytes that are not UTF-8", &parityv1.Payload{Data: []byte{0xff}}),
		echoes("text beyond ASCII", &parityv1.Payload{Text: "商品\x00🛒"}),
		echoes("time that no calendar has", &parityv1.Payload{Time: &timestamppb.Timestamp{Seconds: math.MaxInt64, Nanos: -1}}),
	)
}

func TestNilMessages(t *testing.T) {
	t.Parallel()
	Run(t,
		Case{Name: "request", Want: answered().noted("empty: true"), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(_ context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				p.Note("empty: %t", request != nil && proto.Size(request) == 0)
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(p.Context, nil)
		}},
		Case{Name: "response", Want: answered(), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) { return nil, nil })
			return p.Call(p.Context, &parityv1.CallRequest{})
		}},
		Case{Name: "request of a stream", Want: Seen{}.noted("empty: true"), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnWatch(func(_ context.Context, request *parityv1.WatchRequest, _ *connect.ServerStream[parityv1.WatchResponse]) error {
				p.Note("empty: %t", request != nil && proto.Size(request) == 0)
				return nil
			})
			return p.Watch(p.Context, nil)
		}},
	)
}

// badTexts are payloads with a string that is not valid UTF-8 somewhere.
func badTexts() map[string]*parityv1.Payload {
	const bad = "\xff"
	return map[string]*parityv1.Payload{
		"field":          {Text: bad},
		"optional field": {Maybe: proto.String(bad)},
		"list":           {Texts: []string{"fine", bad}},
		"map key":        {Counts: map[string]int64{bad: 1}},
		"oneof":          {Choice: &parityv1.Payload_ChoiceText{ChoiceText: bad}},
		"deep":           {Children: map[string]*parityv1.Payload{"x": {Items: []*parityv1.Payload{{Child: &parityv1.Payload{Text: bad}}}}}},
	}
}

func TestTextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	for name, payload := range badTexts() {
		Run(t,
			Case{
				Name: "request, " + name, Want: Seen{Code: connect.CodeInvalidArgument, Message: "request: message has a string that is not valid UTF-8"},
				Do: func(_ *testing.T, p *Pair) Seen {
					never(p)
					return p.Call(p.Context, &parityv1.CallRequest{Payload: payload})
				},
			},
			Case{Name: "response, " + name, Want: internal, Do: func(t *testing.T, p *Pair) Seen {
				p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
					return &parityv1.CallResponse{Payload: payload}, nil
				})
				seen := p.Call(p.Context, &parityv1.CallRequest{})
				wantLog(t, p, "response cannot be sent", "not valid UTF-8")
				return seen
			}},
		)
	}
}

// sized returns a payload with which a request or response has so many bytes.
func sized(bytes int) *parityv1.Payload {
	payload := &parityv1.Payload{Data: make([]byte, bytes)}
	payload.Data = payload.Data[:2*bytes-proto.Size(&parityv1.CallResponse{Payload: payload})]
	return payload
}

func TestSizes(t *testing.T) {
	t.Parallel()
	largest, larger := sized(rpc.MaxMessageBytes), sized(rpc.MaxMessageBytes+1)
	// A message of many small parts, of which the copy's bound on the size is far from the size.
	crumbs := &parityv1.Payload{Numbers: make([]int32, 300_000)}
	Run(t,
		Case{Name: "largest request", Want: answered().noted("bytes: 4194304"), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(_ context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				p.Note("bytes: %d", proto.Size(request))
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(p.Context, &parityv1.CallRequest{Payload: largest})
		}},
		Case{Name: "crumbs", Want: answered().noted("numbers: 300000"), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(_ context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				p.Note("numbers: %d", len(request.GetPayload().GetNumbers()))
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(p.Context, &parityv1.CallRequest{Payload: crumbs})
		}},
		Case{
			Name: "larger request", Want: Seen{Code: connect.CodeResourceExhausted, Message: "request: message is larger than 4194304 bytes"},
			Do: func(_ *testing.T, p *Pair) Seen {
				never(p)
				return p.Call(p.Context, &parityv1.CallRequest{Payload: larger})
			},
		},
		Case{Name: "largest response", Want: Seen{Response: &parityv1.CallResponse{Payload: largest}}, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return &parityv1.CallResponse{Payload: largest}, nil
			})
			return p.Call(p.Context, &parityv1.CallRequest{})
		}},
		Case{
			Name: "larger response", Want: Seen{Code: connect.CodeResourceExhausted, Message: "response: message is larger than 4194304 bytes"},
			Do: func(t *testing.T, p *Pair) Seen {
				p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
					return &parityv1.CallResponse{Payload: larger}, nil
				})
				seen := p.Call(p.Context, &parityv1.CallRequest{})
				wantLog(t, p, "response cannot be sent", "larger than")
				return seen
			},
		},
	)
}

// nested returns a payload that nests so deep when it is encoded, through fields, lists, maps and oneofs in turn.
func nested(depth int) *parityv1.Payload {
	payload := &parityv1.Payload{}
	for level := 1; level < depth; level++ {
		switch {
		case level%4 == 0:
			payload = &parityv1.Payload{Items: []*parityv1.Payload{payload}}
		case level%4 == 1 && level+1 < depth:
			payload = &parityv1.Payload{Children: map[string]*parityv1.Payload{"": payload}}
			level++ // An entry of a map is a message.
		case level%4 == 2:
			payload = &parityv1.Payload{Choice: &parityv1.Payload_ChoiceChild{ChoiceChild: payload}}
		default:
			payload = &parityv1.Payload{Child: payload}
		}
	}
	return payload
}

func TestDepth(t *testing.T) {
	t.Parallel()
	deepest, deeper := nested(9_999), nested(10_000) // The request is one level more.
	lateTime := &parityv1.Payload{Time: &timestamppb.Timestamp{}}
	lateMap := &parityv1.Payload{Counts: map[string]int64{"n": 1}}
	for range 9_998 {
		lateTime, lateMap = &parityv1.Payload{Child: lateTime}, &parityv1.Payload{Child: lateMap}
	}
	tooDeep := Seen{Code: connect.CodeInvalidArgument, Message: "request: message nests deeper than 10000"}
	Run(t,
		Case{Name: "deepest request", Want: answered(), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(p.Context, &parityv1.CallRequest{Payload: deepest})
		}},
		Case{Name: "deeper request", Want: tooDeep, Do: func(_ *testing.T, p *Pair) Seen {
			never(p)
			return p.Call(p.Context, &parityv1.CallRequest{Payload: deeper})
		}},
		Case{Name: "deeper request by a time", Want: tooDeep, Do: func(_ *testing.T, p *Pair) Seen {
			never(p)
			return p.Call(p.Context, &parityv1.CallRequest{Payload: lateTime})
		}},
		Case{Name: "deeper request by a map", Want: tooDeep, Do: func(_ *testing.T, p *Pair) Seen {
			never(p)
			return p.Call(p.Context, &parityv1.CallRequest{Payload: lateMap})
		}},
		Case{Name: "deepest response", Want: Seen{}.noted("<nil>"), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return &parityv1.CallResponse{Payload: deepest}, nil
			})
			_, err := p.Client.Call(p.Context, &parityv1.CallRequest{})
			p.Note("%v", err)
			return SeenError(err)
		}},
		Case{Name: "deeper response", Want: internal, Do: func(t *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return &parityv1.CallResponse{Payload: deeper}, nil
			})
			seen := p.Call(p.Context, &parityv1.CallRequest{})
			wantLog(t, p, "response cannot be sent", "nests deeper")
			return seen
		}},
	)
}
