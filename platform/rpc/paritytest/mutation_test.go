package paritytest

import (
	"context"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
)

// mutable returns a payload with every kind of memory that two sides could share.
func mutable() *parityv1.Payload {
	return &parityv1.Payload{
		Text: "t", Data: []byte("data"), Texts: []string{"a"}, Counts: map[string]int64{"n": 1},
		Children: map[string]*parityv1.Payload{"x": {Text: "inner"}}, Child: &parityv1.Payload{Data: []byte("inner")},
		Items: []*parityv1.Payload{{Text: "item"}}, Choice: &parityv1.Payload_ChoiceData{ChoiceData: []byte("choice")},
		MaybeData: []byte("maybe"), Numbers: []int32{1}, Flag: new(bool),
	}
}

// mutate changes all of it in place.
func mutate(m *parityv1.Payload) {
	m.Text = "changed"
	m.Data[0] = '!'
	m.Texts[0] = "changed"
	m.Counts["n"] = 2
	m.Children["x"].Text = "changed"
	m.Child.Data[0] = '!'
	m.Items[0].Text = "changed"
	m.GetChoiceData()[0] = '!'
	m.MaybeData[0] = '!'
	m.Numbers[0] = 2
	*m.Flag = true
}

// Whoever changes a message after it was sent changes it for himself only.
func TestLateChanges(t *testing.T) {
	t.Parallel()
	unchanged := Seen{Response: &parityv1.CallResponse{Payload: mutable()}}
	Run(t,
		Case{Name: "of the request by the caller, who left", Want: unchanged, Do: func(_ *testing.T, p *Pair) Seen {
			ctx, leave := context.WithCancel(p.Context)
			defer leave()
			changed, saw := make(chan struct{}), make(chan *parityv1.Payload, 1)
			p.OnCall(func(_ context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				leave()
				<-changed
				saw <- request.GetPayload()
				return &parityv1.CallResponse{}, nil
			})
			payload := mutable()
			left := p.Call(ctx, &parityv1.CallRequest{Payload: payload})
			mutate(payload)
			close(changed)
			if left.Code != connect.CodeCanceled {
				return left
			}
			return Seen{Response: &parityv1.CallResponse{Payload: <-saw}}
		}},
		Case{Name: "of the request by the callee", Want: unchanged, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(_ context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				mutate(request.GetPayload())
				return &parityv1.CallResponse{}, nil
			})
			payload := mutable()
			if seen := p.Call(p.Context, &parityv1.CallRequest{Payload: payload}); seen.Code != 0 {
				return seen
			}
			return Seen{Response: &parityv1.CallResponse{Payload: payload}}
		}},
		Case{Name: "of a request that the callee kept", Want: unchanged, Do: func(_ *testing.T, p *Pair) Seen {
			kept := make(chan *parityv1.Payload, 1)
			p.OnCall(func(_ context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				kept <- request.GetPayload()
				return &parityv1.CallResponse{}, nil
			})
			payload := mutable()
			if seen := p.Call(p.Context, &parityv1.CallRequest{Payload: payload}); seen.Code != 0 {
				return seen
			}
			mutate(payload)
			return Seen{Response: &parityv1.CallResponse{Payload: <-kept}}
		}},
		Case{Name: "of the response by the callee, who kept it", Want: unchanged, Do: func(_ *testing.T, p *Pair) Seen {
			kept := mutable()
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return &parityv1.CallResponse{Payload: kept}, nil
			})
			seen := p.Call(p.Context, &parityv1.CallRequest{})
			mutate(kept)
			return seen
		}},
		Case{Name: "of the response by the caller", Want: unchanged, Do: func(_ *testing.T, p *Pair) Seen {
			kept := mutable()
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return &parityv1.CallResponse{Payload: kept}, nil
			})
			response, err := p.Client.Call(p.Context, &parityv1.CallRequest{})
			if err != nil {
				return SeenError(err)
			}
			mutate(response.GetPayload())
			return Seen{Response: &parityv1.CallResponse{Payload: kept}}
		}},
		Case{Name: "of a request that is answered with", Want: unchanged, Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(echo)
			payload := mutable()
			seen := p.Call(p.Context, &parityv1.CallRequest{Payload: payload})
			mutate(payload)
			return seen
		}},
	)
}
