package paritytest

import (
	"errors"
	"fmt"
	"slices"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
)

// Seen is what came of a case.
type Seen struct {
	// Code is 0 if the caller got no error.
	Code    connect.Code
	Message string
	// Details are those of the error; one whose type is not known here is an Any.
	Details []proto.Message
	// Response is what a unary method answered, or nil.
	Response proto.Message
	// Items are what a stream gave before it ended.
	Items []*parityv1.WatchResponse
	// Notes are what either side noted with [Pair.Note].
	Notes []string

	// goError is what a caller can tell of the error in Go beyond the above. Ways are compared by it, a case does not want it.
	goError string
}

// SeenError returns what a caller sees of an error.
func SeenError(err error) Seen {
	if err == nil {
		return Seen{}
	}
	var connectErr *connect.Error
	if !errors.As(err, &connectErr) {
		return Seen{Code: connect.CodeUnknown, Message: "not a connect error: " + err.Error(), goError: fmt.Sprintf("%T", err)}
	}
	seen := Seen{
		Code: connectErr.Code(), Message: connectErr.Message(),
		goError: fmt.Sprintf("%T with %T, from the wire: %t, meta: %v", err, connectErr.Unwrap(), connect.IsWireError(err), connectErr.Meta()),
	}
	for _, detail := range connectErr.Details() {
		value, err := detail.Value()
		if err != nil { // The type is not linked here.
			value = &anypb.Any{TypeUrl: "type.googleapis.com/" + detail.Type(), Value: detail.Bytes()}
		}
		seen.Details = append(seen.Details, value)
	}
	return seen
}

// difference returns how got is not what a case wants, or "".
func (s Seen) difference(got Seen) string {
	s.goError, got.goError = "", ""
	return s.differenceBetweenWays(got)
}

// differenceBetweenWays returns how what was seen by another way is not the same, or "".
func (s Seen) differenceBetweenWays(other Seen) string {
	if s.equal(other) { // The difference of large messages takes long to tell, and so does that there is none.
		return ""
	}
	return cmp.Diff(s, other, cmp.AllowUnexported(Seen{}), protocmp.Transform())
}

func (s Seen) equal(other Seen) bool {
	return s.Code == other.Code && s.Message == other.Message && s.goError == other.goError &&
		(s.Response == nil) == (other.Response == nil) && proto.Equal(s.Response, other.Response) &&
		slices.EqualFunc(s.Details, other.Details, proto.Equal) && slices.Equal(s.Notes, other.Notes) &&
		slices.EqualFunc(s.Items, other.Items, func(a, b *parityv1.WatchResponse) bool { return proto.Equal(a, b) })
}
