package paritytest

import (
	"context"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
)

// guarded is the service with the rules. Its methods note that they were reached.
type guarded struct {
	parityv1connect.UnimplementedAccessServiceHandler
	p *Pair
}

func (g guarded) Anyone(context.Context, *parityv1.AnyoneRequest) (*parityv1.AnyoneResponse, error) {
	g.p.Note("reached")
	return &parityv1.AnyoneResponse{}, nil
}

func (g guarded) SignedIn(context.Context, *parityv1.SignedInRequest) (*parityv1.SignedInResponse, error) {
	g.p.Note("reached")
	return &parityv1.SignedInResponse{}, nil
}

func (g guarded) Staff(context.Context, *parityv1.StaffRequest) (*parityv1.StaffResponse, error) {
	g.p.Note("reached")
	return &parityv1.StaffResponse{}, nil
}

func (g guarded) Own(ctx context.Context, _ *parityv1.OwnRequest) (*parityv1.OwnResponse, error) {
	derived, cancel := context.WithCancel(ctx)
	defer cancel()
	owner, everybodys := rpc.Owner(derived)
	return &parityv1.OwnResponse{Owner: owner, Everybodys: everybodys}, nil
}

func (g guarded) Guests(ctx context.Context, _ *parityv1.GuestsRequest) (*parityv1.GuestsResponse, error) {
	owner, everybodys := rpc.Owner(ctx)
	return &parityv1.GuestsResponse{Owner: owner, Everybodys: everybodys}, nil
}

func (g guarded) Forgetful(context.Context, *parityv1.ForgetfulRequest) (*parityv1.ForgetfulResponse, error) {
	return &parityv1.ForgetfulResponse{Owner: "usr_somebody"}, nil
}

func (g guarded) Watch(
	_ context.Context, _ *parityv1.AccessServiceWatchRequest, stream *connect.ServerStream[parityv1.AccessServiceWatchResponse],
) error {
	g.p.Note("reached")
	return stream.Send(&parityv1.AccessServiceWatchResponse{})
}

func (g guarded) Inside(context.Context, *parityv1.InsideRequest) (*parityv1.InsideResponse, error) {
	g.p.Note("reached")
	return &parityv1.InsideResponse{}, nil
}
