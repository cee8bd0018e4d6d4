package saga_test

import (
	"errors"
	"fmt"
	"testing"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

// An error that passes by itself must not turn a saga back, and one that does not must not be tried for ever.
func TestLasting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code  connect.Code
		lasts bool
	}{
		{connect.CodeCanceled, false}, {connect.CodeUnknown, false}, {connect.CodeDeadlineExceeded, false}, {connect.CodeResourceExhausted, false},
		{connect.CodeAborted, false}, {connect.CodeInternal, false}, {connect.CodeUnavailable, false}, {connect.CodeDataLoss, false},
		{connect.CodeInvalidArgument, true}, {connect.CodeNotFound, true}, {connect.CodeAlreadyExists, true}, {connect.CodePermissionDenied, true},
		{connect.CodeFailedPrecondition, true}, {connect.CodeOutOfRange, true}, {connect.CodeUnimplemented, true}, {connect.CodeUnauthenticated, true},
	} {
		want := ""
		if c.lasts {
			want = "WHY"
		}
		if got := saga.Lasting(fmt.Errorf("step: %w", rpc.Errorf(c.code, "WHY", "text"))); got != want {
			t.Errorf("%s lasts because of %q, want %q", c.code, got, want)
		}
	}
	if got := saga.Lasting(connect.NewError(connect.CodeNotFound, errors.New("text"))); got != "REFUSED" {
		t.Errorf("without a reason it lasts because of %q", got)
	}
	if got := saga.Lasting(errors.New("anything")) + saga.Lasting(nil); got != "" {
		t.Errorf("what is no answer of a module lasts because of %q", got)
	}
}
