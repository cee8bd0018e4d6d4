package paritytest

import (
	"context"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	"github.com/cleave-go/cleave/platform/rpc"
)

// tooLong breaks the rule of every request of the service: who is refused does not learn of it.
const tooLong = "too long"

// guardedMethods are the methods with a rule, by name. Each calls with a request and returns what the caller saw of it.
var guardedMethods = map[string]func(ctx context.Context, c *Pair, text string) Seen{
	"Anyone": func(ctx context.Context, p *Pair, text string) Seen {
		return unary(p.Access.Anyone(ctx, &parityv1.AnyoneRequest{Text: text}))
	},
	"SignedIn": func(ctx context.Context, p *Pair, text string) Seen {
		return unary(p.Access.SignedIn(ctx, &parityv1.SignedInRequest{Text: text}))
	},
	"Staff": func(ctx context.Context, p *Pair, text string) Seen {
		return unary(p.Access.Staff(ctx, &parityv1.StaffRequest{Text: text}))
	},
	"Own": func(ctx context.Context, p *Pair, text string) Seen {
		return unary(p.Access.Own(ctx, &parityv1.OwnRequest{Text: text}))
	},
	"Guests": func(ctx context.Context, p *Pair, text string) Seen {
		return unary(p.Access.Guests(ctx, &parityv1.GuestsRequest{Text: text}))
	},
	"Forgetful": func(ctx context.Context, p *Pair, text string) Seen {
		return unary(p.Access.Forgetful(ctx, &parityv1.ForgetfulRequest{Text: text}))
	},
	"Watch": func(ctx context.Context, p *Pair, text string) Seen {
		stream, err := p.Access.Watch(ctx, &parityv1.AccessServiceWatchRequest{Text: text})
		if err != nil {
			return SeenError(err)
		}
		defer stream.Close()
		for stream.Receive() {
			p.Note("an item")
		}
		return SeenError(stream.Err())
	},
	"Inside": func(ctx context.Context, p *Pair, text string) Seen {
		return unary(p.Access.Inside(ctx, &parityv1.InsideRequest{Text: text}))
	},
}

func unary[M proto.Message](response M, err error) Seen {
	seen := SeenError(err)
	if err == nil {
		seen.Response = response
	}
	return seen
}

func refusal(code connect.Code, reason, message string) Seen {
	return Seen{Code: code, Message: message, Details: []proto.Message{&errdetails.ErrorInfo{Reason: reason, Domain: "cleave"}}}
}

// TestAccess holds that a rule lets in whom it names and nobody else, whichever way the call comes.
func TestAccess(t *testing.T) {
	t.Parallel()
	var (
		nobody   = rpc.Principal{}
		customer = rpc.Principal{Subject: "usr_1", Roles: []string{"customer"}}
		guest    = rpc.Principal{Subject: "gst_1"}
		staff    = rpc.Principal{Subject: "usr_2", Roles: []string{"customer", "staff"}, Scopes: []string{"parity:write"}}

		signIn   = refusal(connect.CodeUnauthenticated, "SIGN_IN", "sign in first")
		noRole   = refusal(connect.CodePermissionDenied, "ROLE", "Staff is for callers with the role staff or admin")
		noScope  = refusal(connect.CodePermissionDenied, "SCOPE", "the token does not allow Staff: ask for one with the scope parity:write")
		internal = Seen{Code: connect.CodeInternal, Message: "internal error"}
		item     = Seen{Notes: []string{"reached", "an item"}}
	)
	reached := func(m proto.Message) Seen { return Seen{Response: m, Notes: []string{"reached"}} }
	owns := func(subject string, everybodys bool) Seen {
		return Seen{Response: &parityv1.OwnResponse{Owner: subject, Everybodys: everybodys}}
	}
	guests := func(subject string, everybodys bool) Seen {
		return Seen{Response: &parityv1.GuestsResponse{Owner: subject, Everybodys: everybodys}}
	}
	for _, c := range []struct {
		name, method string
		principal    rpc.Principal
		want         Seen
	}{
		{"anyone, nobody", "Anyone", nobody, reached(&parityv1.AnyoneResponse{})},
		{"signed in, nobody", "SignedIn", nobody, signIn},
		{"signed in, a customer", "SignedIn", customer, reached(&parityv1.SignedInResponse{})},
		{"signed in, without any role", "SignedIn", rpc.Principal{Subject: "app"}, reached(&parityv1.SignedInResponse{})},
		{"roles without a subject are nobody's", "Staff", rpc.Principal{Roles: staff.Roles, Scopes: staff.Scopes}, signIn},
		{"staff, nobody", "Staff", nobody, signIn},
		{"staff, a customer", "Staff", customer, noRole},
		{"staff, without the scope", "Staff", rpc.Principal{Subject: "usr_2", Roles: []string{"staff"}, Scopes: []string{"parity", "parity:writes"}}, noScope},
		{"staff, the scope without the role", "Staff", rpc.Principal{Subject: "app", Scopes: []string{"parity:write"}}, noRole},
		{"staff", "Staff", staff, reached(&parityv1.StaffResponse{})},
		{"own, nobody", "Own", nobody, signIn},
		{"own, a customer", "Own", customer, owns("usr_1", false)},
		{"own, staff", "Own", staff, owns("usr_2", true)},
		{"guests, nobody", "Guests", nobody, signIn},
		{"guests, a guest", "Guests", guest, guests("gst_1", false)},
		{"guests, one who claims a role", "Guests", rpc.Principal{Subject: "gst_1", Roles: []string{"customer"}}, guests("gst_1", false)},
		{"guests, a customer without the scope", "Guests", customer, refusal(connect.CodePermissionDenied, "SCOPE", "the token does not allow Guests: ask for one with the scope parity:write")},
		{"guests, staff", "Guests", staff, guests("usr_2", true)},
		{"anyone, a guest", "Anyone", guest, reached(&parityv1.AnyoneResponse{})},
		{"signed in, a guest", "SignedIn", guest, signIn},
		{"own, a guest", "Own", guest, signIn},
		{"staff, a guest", "Staff", guest, signIn},
		{"staff, a guest who claims all of it", "Staff", rpc.Principal{Subject: "gst_1", Roles: staff.Roles, Scopes: staff.Scopes}, signIn},
		{"a stream, a guest", "Watch", guest, signIn},
		{"own, and the method forgets it", "Forgetful", customer, internal},
		{"a stream, nobody", "Watch", nobody, signIn},
		{"a stream, a customer", "Watch", customer, item},
		{"internal, from a module for nobody", "Inside", nobody, reached(&parityv1.InsideResponse{})},
	} {
		Run(t, Case{Name: c.name, Want: c.want, Do: func(_ *testing.T, p *Pair) Seen {
			ctx := rpc.WithMetadata(p.Context, rpc.Metadata{Principal: c.principal})
			if c.want.Code != 0 && c.want.Code != connect.CodeInternal {
				return guardedMethods[c.method](ctx, p, tooLong)
			}
			return guardedMethods[c.method](ctx, p, "ok")
		}})
	}
	Run(t, Case{Name: "internal, from the edge", Want: refusal(connect.CodePermissionDenied, "INTERNAL", "Inside is for other modules only"),
		Do: func(_ *testing.T, p *Pair) Seen {
			p.Access = parityv1cleave.NewAccessServiceClient(p.Directory.Caller(rpc.EdgeCaller, []*rpc.Service{parityv1cleave.AccessService}))
			return guardedMethods["Inside"](rpc.WithMetadata(p.Context, rpc.Metadata{Principal: staff}), p, tooLong)
		}})
}
