package verify

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// read reads a stream of facts to its end, or as long as each returns true. The name of the module is in its errors.
func read[R any](ctx context.Context, module string, open func(context.Context) (*connect.ServerStreamForClient[R], error), each func(*R) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(patience, func() { cancel(errSilent) })
	defer silence.Stop()
	stream, err := open(ctx)
	if err != nil {
		return unable(ctx, module, err)
	}
	defer stream.Close()
	for stream.Receive() {
		silence.Stop() // What we take our time for is not the module's silence.
		if !each(stream.Msg()) {
			return nil
		}
		silence.Reset(patience)
	}
	return unable(ctx, module, stream.Err())
}

// pull turns a stream of facts around: next returns one fact after the other, and false at the end. Closed must be called then, and returns
// the error that has ended the stream.
func pull[R, F any](
	ctx context.Context, module string, open func(context.Context) (*connect.ServerStreamForClient[R], error), facts func(*R) []F,
) (next func() (F, bool), closed func() error) {
	var err error
	next, stop := iter.Pull(func(yield func(F) bool) {
		err = read(ctx, module, open, func(page *R) bool {
			for _, fact := range facts(page) {
				if !yield(fact) {
					return false
				}
			}
			return true
		})
	})
	return next, func() error {
		stop()
		return err
	}
}

// all has each fact of a page entered.
func all[R, F any](facts func(*R) []F, enter func(F)) func(*R) bool {
	return func(page *R) bool {
		for _, fact := range facts(page) {
			enter(fact)
		}
		return true
	}
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
