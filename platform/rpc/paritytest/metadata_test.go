package paritytest

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// carries is a case that calls with metadata and notes what arrives.
func carries(name string, sent, want rpc.Metadata) Case {
	p := &Pair{}
	noteMetadata(p, want)
	return Case{Name: name, Want: answered().noted(p.notes...), Do: func(_ *testing.T, p *Pair) Seen {
		p.OnCall(noteCall(p))
		return p.Call(rpc.WithMetadata(p.Context, sent), &parityv1.CallRequest{})
	}}
}

func noteMetadata(p *Pair, m rpc.Metadata) { p.Note("%#v", m) }

// noteCall is a callee that notes the metadata it is called with.
func noteCall(p *Pair) func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	return func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		noteMetadata(p, rpc.MetadataOf(ctx))
		return &parityv1.CallResponse{}, nil
	}
}

// full has every field.
func full() rpc.Metadata {
	return rpc.Metadata{
		Principal:     rpc.Principal{Subject: "usr_1", Roles: []string{"staff", "admin"}, Scopes: []string{"orders:read"}},
		CorrelationID: "cor-1", RequestID: "req-1", Trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", // A recorded one would go on with a span of the callee.,
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	arrived := full()
	arrived.Caller = "caller"
	impostor := full()
	impostor.Caller = "edge"
	longest := strings.Repeat("x", 128)
	ids := func(id string) rpc.Metadata { return rpc.Metadata{CorrelationID: id, RequestID: id, Trace: id} }
	person := func(subject string, roles ...string) rpc.Metadata {
		return rpc.Metadata{Principal: rpc.Principal{Subject: subject, Roles: roles}}
	}
	from := func(m rpc.Metadata) rpc.Metadata {
		m.Caller = "caller"
		return m
	}
	Run(t,
		carries("all of it", full(), arrived),
		carries("none", rpc.Metadata{}, from(rpc.Metadata{})),
		carries("the caller is who calls", impostor, arrived),
		carries("longest ids", ids(longest), from(ids(longest))),
		carries("ids that are too long", ids(longest+"x"), from(rpc.Metadata{})),
		carries("ids with a line break", ids("a\r\nSet-Cookie: b"), from(rpc.Metadata{})),
		carries("ids beyond ASCII", ids("ä"), from(rpc.Metadata{})),
		carries("ids with a blank", ids("a b"), from(rpc.Metadata{})),
		carries("roles of nobody", rpc.Metadata{Principal: rpc.Principal{Roles: []string{"admin"}}}, from(rpc.Metadata{})),
		carries("subject beyond ASCII", person("usr_ä\n\"<&>\u2028", "röle"), from(person("usr_ä\n\"<&>\u2028", "röle"))),
		carries("subject that is not UTF-8", person("usr_\xff\xfe", "\xff"), from(person("usr_\uFFFD", "\uFFFD"))),
		carries("no roles", rpc.Metadata{Principal: rpc.Principal{Subject: "usr_1", Roles: []string{}}}, from(person("usr_1"))),
	)
}

func TestMetadataIsCopied(t *testing.T) {
	t.Parallel()
	Run(t,
		Case{Name: "caller changes it after the call", Want: answered().noted("[staff admin]"), Do: func(_ *testing.T, p *Pair) Seen {
			m := full()
			kept := make(chan rpc.Metadata, 1)
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				kept <- rpc.MetadataOf(ctx)
				return &parityv1.CallResponse{}, nil
			})
			seen := p.Call(rpc.WithMetadata(p.Context, m), &parityv1.CallRequest{})
			m.Principal.Roles[0] = "changed"
			p.Note("%v", (<-kept).Principal.Roles)
			return seen
		}},
		Case{Name: "callee changes it", Want: answered().noted("[staff admin]"), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				rpc.MetadataOf(ctx).Principal.Roles[0] = "root"
				return &parityv1.CallResponse{}, nil
			})
			ctx := rpc.WithMetadata(p.Context, full())
			seen := p.Call(ctx, &parityv1.CallRequest{})
			p.Note("%v", rpc.MetadataOf(ctx).Principal.Roles)
			return seen
		}},
	)
}

func TestMetadataGoesOn(t *testing.T) {
	t.Parallel()
	arrived := full()
	arrived.Caller = "parity"
	want := &Pair{}
	noteMetadata(want, arrived)
	nested := func(call func(context.Context, *Pair) error) func(*testing.T, *Pair) Seen {
		return func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(ctx context.Context, request *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				if request.GetCase() != "inner" {
					return &parityv1.CallResponse{}, call(ctx, p)
				}
				noteMetadata(p, rpc.MetadataOf(ctx))
				return &parityv1.CallResponse{}, nil
			})
			p.OnWatch(func(ctx context.Context, _ *parityv1.WatchRequest, _ *connect.ServerStream[parityv1.WatchResponse]) error {
				noteMetadata(p, rpc.MetadataOf(ctx))
				return nil
			})
			return p.Call(rpc.WithMetadata(p.Context, full()), &parityv1.CallRequest{})
		}
	}
	Run(t,
		Case{Name: "with a call made by the callee", Want: answered().noted(want.notes...), Do: nested(func(ctx context.Context, p *Pair) error {
			_, err := p.Nested.Call(ctx, &parityv1.CallRequest{Case: "inner"})
			return err
		})},
		Case{Name: "with a stream opened by the callee", Want: answered().noted(want.notes...), Do: nested(func(ctx context.Context, p *Pair) error {
			stream, err := p.Nested.Watch(ctx, &parityv1.WatchRequest{})
			if err != nil {
				return err
			}
			stream.Receive()
			return stream.Err()
		})},
	)
}

// A module cannot pass for another by headers of its own.
func TestHeadersOfTheCallerAreNoMetadata(t *testing.T) {
	t.Parallel()
	want := &Pair{}
	noteMetadata(want, rpc.Metadata{Caller: "caller"})
	forge := func(p *Pair) context.Context {
		ctx, info := connect.NewClientContext(p.Context)
		info.RequestHeader().Set("Cleave-Caller", "edge")
		info.RequestHeader().Set("Cleave-Principal", "eyJzdWIiOiJyb290In0")
		return ctx
	}
	Run(t,
		Case{Name: "unary", Want: answered().noted(want.notes...), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(noteCall(p))
			return p.Call(forge(p), &parityv1.CallRequest{})
		}},
		Case{Name: "stream", Want: Seen{}.noted(want.notes...), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnWatch(func(ctx context.Context, _ *parityv1.WatchRequest, _ *connect.ServerStream[parityv1.WatchResponse]) error {
				noteMetadata(p, rpc.MetadataOf(ctx))
				return nil
			})
			return p.Watch(forge(p), &parityv1.WatchRequest{})
		}},
	)
}
