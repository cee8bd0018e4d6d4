package paritytest

import (
	"context"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/rpc"
)

// A service that several modules serve is called at one of them, also where all of them share a process.
func TestServiceOfSeveralModules(t *testing.T) {
	t.Parallel()
	note := func(p *Pair, t *testing.T, from *rpc.Caller, module string) {
		client := parityv1cleave.NewParityServiceClient(from.At(module))
		_, err := client.Call(p.Context, &parityv1.CallRequest{})
		p.Note("call at %s: %v", module, connect.CodeOf(err))
		if err == nil {
			p.Note("answered")
		}
		stream, err := client.Watch(p.Context, &parityv1.WatchRequest{})
		if err != nil {
			p.Note("watch at %s: %v", module, connect.CodeOf(err))
			return
		}
		for stream.Receive() {
			p.Note("an item")
		}
		if err := stream.Err(); err != nil {
			p.Note("watch at %s: %v", module, connect.CodeOf(err))
		}
		_ = stream.Close()
	}
	unknown := connect.CodeUnknown // What CodeOf says of no error at all.
	Run(t, Case{
		Name: "at each of them",
		Want: Seen{}.noted("call at left: "+unknown.String(), "answered", "an item", "call at right: "+connect.CodeAborted.String(),
			"watch at right: "+connect.CodeAborted.String(), "call at nowhere: "+connect.CodeInternal.String(), "watch at nowhere: "+connect.CodeInternal.String(),
			"undeclared is reported: true"),
		Do: func(t *testing.T, p *Pair) Seen {
			for _, module := range []string{"left", "right"} {
				c := &callee{}
				call := func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
					if module == "right" {
						return nil, rpc.Errorf(connect.CodeAborted, "", "right")
					}
					return &parityv1.CallResponse{}, nil
				}
				watch := func(_ context.Context, _ *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
					if module == "right" {
						return rpc.Errorf(connect.CodeAborted, "", "right")
					}
					return stream.Send(&parityv1.WatchResponse{})
				}
				c.call.Store(&call)
				c.watch.Store(&watch)
				if err := p.Server.Handle(parityv1cleave.NewParityServiceHandler(c).Of(module)); err != nil {
					t.Fatal(err)
				}
			}
			from := p.Directory.Caller("caller", []*rpc.Service{parityv1cleave.ParityService.Of("left"), parityv1cleave.ParityService.Of("right")})
			note(p, t, from, "left")
			note(p, t, from, "right")
			note(p, t, from, "nowhere")
			p.Note("undeclared is reported: %v", from.Err() != nil)
			return Seen{}
		},
	})
}
