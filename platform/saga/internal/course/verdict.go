package course

import (
	"errors"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Verdict is an error by which a step decides how the saga goes on.
type Verdict struct {
	Outcome Outcome
	Reason  string
}

func (v Verdict) Error() string { return v.Reason }

// Judge returns the outcome of a step and its reason.
func Judge(err error) (Outcome, string) {
	if err == nil {
		return Succeeded, ""
	}
	var v Verdict
	if errors.As(err, &v) {
		return v.Outcome, v.Reason
	}
	if reason := lasting(err); reason != "" {
		return Refused, reason
	}
	return Failed, err.Error()
}

// lasting returns the reason of a call's error that will not pass by itself, or "".
func lasting(err error) string {
	var connectErr *connect.Error
	if !errors.As(err, &connectErr) {
		return ""
	}
	switch connectErr.Code() {
	case connect.CodeFailedPrecondition, connect.CodeInvalidArgument, connect.CodeNotFound, connect.CodeOutOfRange, connect.CodePermissionDenied,
		connect.CodeUnimplemented, connect.CodeUnauthenticated, connect.CodeAlreadyExists:
		if reason := rpc.Reason(err); reason != "" {
			return reason
		}
		return "REFUSED"
	}
	return ""
}
