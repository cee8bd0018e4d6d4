package paritytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// fails is a case whose callee returns an error.
func fails(name string, err func() error, want Seen) Case {
	return Case{Name: name, Want: want, Do: func(_ *testing.T, p *Pair) Seen {
		p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) { return nil, err() })
		return p.Call(p.Context, &parityv1.CallRequest{})
	}}
}

// says is a case whose callee returns an error with a message.
func says(name, message, want string) Case {
	return fails(name, func() error { return connect.NewError(connect.CodeAborted, errors.New(message)) },
		Seen{Code: connect.CodeAborted, Message: want})
}

// internal is all that a caller learns of an error that the callee did not mean for it.
var internal = Seen{Code: connect.CodeInternal, Message: "internal error"}

func TestErrorCodes(t *testing.T) {
	t.Parallel()
	for code := connect.CodeCanceled; code <= connect.CodeUnauthenticated; code++ {
		Run(t, fails(code.String(), func() error { return rpc.Errorf(code, "SOLD_OUT", "no %s left", "luck") }, Seen{
			Code: code, Message: "no luck left",
			Details: []proto.Message{&errdetails.ErrorInfo{Reason: "SOLD_OUT", Domain: "cleave"}},
		}))
	}
	Run(t,
		fails("code zero", func() error { return connect.NewError(0, errors.New("secret")) }, internal),
		fails("code that does not exist", func() error { return connect.NewError(99, errors.New("secret")) }, internal),
	)
}

func TestErrorsThatAreNotMeantForTheCaller(t *testing.T) {
	t.Parallel()
	Run(t,
		Case{Name: "plain", Want: internal, Do: func(t *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return nil, errors.New("password is hunter2")
			})
			seen := p.Call(p.Context, &parityv1.CallRequest{})
			wantLog(t, p, "method failed", "password is hunter2", "/cleave.platform.parity.v1.ParityService/Call", `"caller":"caller"`)
			return seen
		}},
		Case{Name: "nil *connect.Error", Want: internal, Do: func(t *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				var err *connect.Error
				return nil, fmt.Errorf("load order: %w", err)
			})
			seen := p.Call(p.Context, &parityv1.CallRequest{})
			wantLog(t, p, "method failed", "load order")
			return seen
		}},
		fails("error that panics", func() error { return new(explosive) }, internal),
	)
}

// explosive is an error that cannot say what it is.
type explosive struct{ text *string }

func (e *explosive) Error() string { return *e.text }

func TestErrorsThatAreWrapped(t *testing.T) {
	t.Parallel()
	sentinel := errors.New("no rows")
	Run(t,
		fails("connect error in a plain one",
			func() error {
				return fmt.Errorf("load order: %w", connect.NewError(connect.CodeNotFound, errors.New("gone")))
			},
			Seen{Code: connect.CodeNotFound, Message: "gone"}),
		Case{
			Name: "errors.Is does not see through",
			Want: Seen{Code: connect.CodeNotFound, Message: "no rows\n", Notes: []string{"is: false", "as: false"}},
			Do: func(_ *testing.T, p *Pair) Seen {
				p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
					return nil, connect.NewError(connect.CodeNotFound, errors.Join(sentinel, new(net404)))
				})
				_, err := p.Client.Call(p.Context, &parityv1.CallRequest{})
				p.Note("is: %t", errors.Is(err, sentinel))
				var typed *net404
				p.Note("as: %t", errors.As(err, &typed))
				return SeenError(err)
			},
		},
		Case{
			Name: "headers of an error do not travel",
			Want: Seen{Code: connect.CodeNotFound, Message: "gone", Notes: []string{"meta: 0"}},
			Do: func(_ *testing.T, p *Pair) Seen {
				p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
					err := connect.NewError(connect.CodeNotFound, errors.New("gone"))
					err.Meta().Set("Set-Cookie", "a=b")
					return nil, err
				})
				_, err := p.Client.Call(p.Context, &parityv1.CallRequest{})
				var connectErr *connect.Error
				if errors.As(err, &connectErr) {
					p.Note("meta: %d", len(connectErr.Meta()))
				}
				return SeenError(err)
			},
		},
		Case{
			Name: "a response beside an error is dropped",
			Want: Seen{Code: connect.CodeNotFound, Message: "gone"},
			Do: func(_ *testing.T, p *Pair) Seen {
				p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
					return &parityv1.CallResponse{}, connect.NewError(connect.CodeNotFound, errors.New("gone"))
				})
				return p.Call(p.Context, &parityv1.CallRequest{})
			},
		},
	)
}

// net404 is an error type whose message is empty.
type net404 struct{}

func (*net404) Error() string { return "" }

func TestContextErrorsOfTheCallee(t *testing.T) {
	t.Parallel()
	canceled := Seen{Code: connect.CodeCanceled, Message: "context canceled"}
	exceeded := Seen{Code: connect.CodeDeadlineExceeded, Message: "context deadline exceeded"}
	Run(t,
		fails("canceled", func() error { return context.Canceled }, canceled),
		fails("canceled, wrapped", func() error { return fmt.Errorf("query: %w", context.Canceled) }, canceled),
		fails("deadline exceeded", func() error { return context.DeadlineExceeded }, exceeded),
		fails("deadline exceeded, wrapped", func() error { return fmt.Errorf("query: %w", context.DeadlineExceeded) }, exceeded),
		fails("deadline exceeded, with a message of its own",
			func() error { return connect.NewError(connect.CodeDeadlineExceeded, errors.New("bank is slow")) },
			Seen{Code: connect.CodeDeadlineExceeded, Message: "bank is slow"}),
	)
}

func TestErrorMessages(t *testing.T) {
	t.Parallel()
	Run(t,
		says("empty", "", ""),
		says("lines", "one\r\ntwo\tthree\x00\x1b[31m", "one\r\ntwo\tthree\x00\x1b[31m"),
		says("quotes and markup", `100 % "sure" <b>&amp;</b> \n %41`, `100 % "sure" <b>&amp;</b> \n %41`),
		says("beyond ASCII", "naïve 商品\u2028🛒", "naïve 商品\u2028🛒"),
		says("blanks around", "  spaced out\t\n ", "spaced out\t\n"),
		says("invalid UTF-8", "bad \xff\xfe end", "bad \uFFFD end"),
		says("long", strings.Repeat("x", 10_000), strings.Repeat("x", 2048)+"…"),
		says("long and beyond ASCII", "x"+strings.Repeat("é", 10_000), "x"+strings.Repeat("é", 1023)+"…"),
		says("just not too long", strings.Repeat("x", 2048), strings.Repeat("x", 2048)),
	)
}

func TestErrorDetails(t *testing.T) {
	t.Parallel()
	failWith := func(details ...proto.Message) func() error {
		return func() error {
			err := connect.NewError(connect.CodeFailedPrecondition, errors.New("no"))
			for _, detail := range details {
				packed, detailErr := connect.NewErrorDetail(detail)
				if detailErr != nil {
					panic(detailErr)
				}
				err.AddDetail(packed)
			}
			return err
		}
	}
	retry := &errdetails.RetryInfo{RetryDelay: durationpb.New(1)}
	info := &errdetails.ErrorInfo{Reason: "A", Metadata: map[string]string{"k": "v"}}
	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/acme.Unknown", Value: []byte{8, 1}}
	Run(t,
		fails("several, in order", failWith(info, retry), Seen{Code: connect.CodeFailedPrecondition, Message: "no", Details: []proto.Message{info, retry}}),
		fails("of a type that is not known here", failWith(unknown),
			Seen{Code: connect.CodeFailedPrecondition, Message: "no", Details: []proto.Message{unknown}}),
		fails("more than travels", failWith(info, &errdetails.DebugInfo{Detail: strings.Repeat("x", 5_000)}, retry),
			Seen{Code: connect.CodeFailedPrecondition, Message: "no", Details: []proto.Message{info}}),
		Case{
			Name: "changed after the call",
			Want: Seen{Code: connect.CodeFailedPrecondition, Message: "no", Details: []proto.Message{&errdetails.ErrorInfo{Reason: "BEFORE"}}},
			Do: func(_ *testing.T, p *Pair) Seen {
				packed, err := anypb.New(&errdetails.ErrorInfo{Reason: "BEFORE"})
				if err != nil {
					panic(err)
				}
				p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
					return nil, failWith(packed)()
				})
				_, callErr := p.Client.Call(p.Context, &parityv1.CallRequest{})
				packed.Value[len(packed.Value)-1] = '!'
				return SeenError(callErr)
			},
		},
	)
}

// wantLog fails the test if the callee's side has not logged each of the texts.
func wantLog(t *testing.T, p *Pair, texts ...string) {
	t.Helper()
	log := p.Log()
	for _, text := range texts {
		if !strings.Contains(log, text) {
			t.Errorf("log has no %q:\n%s", text, log)
		}
	}
}
