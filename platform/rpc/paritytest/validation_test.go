package paritytest

import (
	"context"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
)

func TestValidation(t *testing.T) {
	t.Parallel()
	// What is wrong is noted by path and rule: the whole detail is compared between the ways.
	violations := func(p *Pair, seen Seen) Seen {
		for _, detail := range seen.Details {
			for _, v := range detail.(*validate.Violations).GetViolations() {
				p.Note("%s: %s", protovalidate.FieldPathString(v.GetField()), v.GetRuleId())
			}
		}
		p.Note("%s", seen.Message)
		return Seen{Code: seen.Code, goError: seen.goError + seen.Message}
	}
	call := func(name string, request *parityv1.CallRequest, notes ...string) Case {
		return Case{Name: name, Want: Seen{Code: connect.CodeInvalidArgument, Notes: notes}, Do: func(_ *testing.T, p *Pair) Seen {
			never(p)
			return violations(p, p.Call(p.Context, request))
		}}
	}
	// inside is a case whose request has something wrong in a message inside it.
	inside := func(name string, ruled *parityv1.Ruled, path, rule, text string) Case {
		return call(name, &parityv1.CallRequest{Ruled: ruled, Payload: mutable()}, path+": "+rule, "validation error: "+path+": "+text)
	}
	long := &parityv1.Ruled{Name: strings.Repeat("x", 11)}
	const rule, text = "string.max_len", "must be at most 10 characters"
	Run(t,
		inside("in a field", &parityv1.Ruled{Inner: long}, "ruled.inner.name", rule, text),
		inside("in a list", &parityv1.Ruled{List: []*parityv1.Ruled{{}, long}}, "ruled.list[1].name", rule, text),
		inside("in a map", &parityv1.Ruled{Map: map[string]*parityv1.Ruled{"k": long}}, `ruled.map["k"].name`, rule, text),
		inside("in a oneof", &parityv1.Ruled{Choice: &parityv1.Ruled_Chosen{Chosen: long}}, "ruled.chosen.name", rule, text),
		inside("of a message", &parityv1.Ruled{Inner: &parityv1.Ruled{Low: 2, High: 1}}, "ruled.inner", "ruled.low_high", "low must not be above high"),
		inside("of a field whose message has no rules", &parityv1.Ruled{Payload: &parityv1.Payload{Text: "bad"}},
			"ruled.payload", "ruled.payload", `text must not be "bad"`),
		call("unary", &parityv1.CallRequest{Positive: -1}, "positive: int32.gte", "validation error: positive: must be greater than or equal to 0"),
		call("unary, twice wrong", &parityv1.CallRequest{Positive: -1, Case: strings.Repeat("x", 101)},
			"case: string.max_len", "positive: int32.gte",
			"validation errors:\n - case: must be at most 100 characters\n - positive: must be greater than or equal to 0"),
		Case{
			Name: "stream",
			Want: Seen{Code: connect.CodeInvalidArgument, Notes: []string{
				"count: int32.gte_lte", "validation error: count: must be greater than or equal to 0 and less than or equal to 100000",
			}},
			Do: func(_ *testing.T, p *Pair) Seen {
				never(p)
				return violations(p, p.Watch(p.Context, &parityv1.WatchRequest{Count: -1}))
			},
		},
		Case{Name: "of what is allowed", Want: answered(), Do: func(_ *testing.T, p *Pair) Seen {
			p.OnCall(func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				return &parityv1.CallResponse{}, nil
			})
			return p.Call(p.Context, &parityv1.CallRequest{Case: strings.Repeat("x", 100)})
		}},
	)
}
