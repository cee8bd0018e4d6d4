package course_test

import (
	"errors"
	"fmt"
	"testing"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga/internal/course"
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
		outcome, reason := course.Judge(fmt.Errorf("step: %w", rpc.Errorf(c.code, "WHY", "text")))
		if lasts := outcome == course.Refused && reason == "WHY"; lasts != c.lasts || !lasts && outcome != course.Failed {
			t.Errorf("%s has the outcome %d because of %q, want that it lasts: %v", c.code, outcome, reason, c.lasts)
		}
	}
	if outcome, reason := course.Judge(connect.NewError(connect.CodeNotFound, errors.New("text"))); outcome != course.Refused || reason != "REFUSED" {
		t.Errorf("without a reason it has the outcome %d because of %q", outcome, reason)
	}
	if outcome, _ := course.Judge(errors.New("anything")); outcome != course.Failed {
		t.Errorf("what is no answer of a module has the outcome %d", outcome)
	}
	if outcome, _ := course.Judge(nil); outcome != course.Succeeded {
		t.Errorf("no error has the outcome %d", outcome)
	}
}
