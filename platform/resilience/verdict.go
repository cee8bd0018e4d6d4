package resilience

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"
)

// verdict is what the end of a call says of the peer.
type verdict int

const (
	unsaid   verdict = iota // Nothing: the caller went away, or did not wait long enough.
	answered                // It is well, whatever it has answered.
	failed                  // It is not there, or too slow.
)

// judge says what the end of a call says of the peer. Whatever a module has answered, unavailable too: it was there to say so. A module
// that cannot go on without another would otherwise be taken away with it, with all else that it does. The context is the caller's.
func judge(caller context.Context, err error, took, patience time.Duration) verdict {
	if err == nil || caller.Err() == nil && connect.IsWireError(err) {
		return answered
	}
	switch codeOf(caller, err) {
	case connect.CodeCanceled:
		return unsaid
	case connect.CodeDeadlineExceeded:
		if took < patience {
			return unsaid
		}
		return failed
	case connect.CodeUnavailable:
		return failed
	}
	return answered
}

// again reports whether a call that ended so could go better: nobody was there, or did not answer in the time of one attempt.
func again(caller context.Context, err error) bool {
	code := codeOf(caller, err)
	return caller.Err() == nil && (code == connect.CodeUnavailable || code == connect.CodeDeadlineExceeded)
}

// codeOf returns the code that the seam gives its caller for an error of the network client (platform/rpc): what that client has made
// itself is unavailable, but for a deadline and an answer that is too large. It is 0 if there is none. The context is the caller's.
func codeOf(caller context.Context, err error) connect.Code {
	if err == nil {
		return 0
	}
	switch caller.Err() {
	case nil:
	case context.DeadlineExceeded:
		return connect.CodeDeadlineExceeded
	default:
		return connect.CodeCanceled
	}
	var connectErr *connect.Error
	if errors.As(err, &connectErr) {
		code := connectErr.Code()
		if connect.IsWireError(err) || code == connect.CodeDeadlineExceeded || code == connect.CodeResourceExhausted {
			return code
		}
	}
	return connect.CodeUnavailable
}
