package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
)

// House says where the modules' facts are: the URL of the operator's port of a process that holds the module, by module. Of several
// replicas one answers for all.
type House map[string]string

// patience is how long one waits for the next message of a module before it counts as one that does not answer.
var patience = time.Minute

// errSilent is why a stream was given up.
var errSilent = errors.New("it says nothing any more")

// client has no limit on a whole answer, which may be long, but gives nobody up who is there and says nothing: see [read] and [ask].
var client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second}}

// read reads a stream of facts to its end. The name of the module is in its errors.
func read[R any](ctx context.Context, module string, open func(context.Context) (*connect.ServerStreamForClient[R], error), each func(*R)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(patience, func() { cancel(errSilent) })
	defer silence.Stop()
	stream, err := open(ctx)
	if err == nil {
		defer stream.Close()
		for stream.Receive() {
			silence.Reset(patience)
			each(stream.Msg())
		}
		err = stream.Err()
	}
	return unable(ctx, module, err)
}

// ask asks a module for one answer.
func ask[R any](ctx context.Context, module string, call func(context.Context) (R, error)) (R, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	answer, err := call(ctx)
	return answer, unable(ctx, module, err)
}

// unable says of which module nothing can be learned, and why.
func unable(ctx context.Context, module string, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	var connectErr *connect.Error
	if errors.As(err, &connectErr) && connectErr.Message() != "" {
		err = errors.New(connectErr.Message())
	}
	return fmt.Errorf("cannot look at module %s: %w", module, err)
}
