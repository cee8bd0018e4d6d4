package rpc

import (
	"context"
	"errors"
	"net/http"
	"sync"
)

// memoryTransport carries HTTP requests to a handler of this process, without a socket. Streams of direct clients use it, so that
// they meet the very handler that a network client meets.
type memoryTransport struct{ handler http.Handler }

var errHandlerGone = errors.New("handler ended without an answer")

// RoundTrip runs the handler on a goroutine of its own, which ends when the handler returns. The handler sees the deadline and
// cancellation of the request's context and none of its values.
func (t *memoryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(&calleeContext{parent: r.Context()})
	inner := r.Clone(ctx)
	inner.RequestURI = r.URL.RequestURI()
	inner.Proto, inner.ProtoMajor, inner.ProtoMinor = "HTTP/2.0", 2, 0
	inner.RemoteAddr = "memory"
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	pipe := newMemoryPipe()
	w := &memoryWriter{header: http.Header{}, pipe: pipe, begun: make(chan struct{})}
	go func() {
		// A panic is caught by the chain, or is one of the HTTP layer itself; a test double may end the goroutine.
		err := errHandlerGone
		defer func() {
			_ = recover()
			w.begin(http.StatusInternalServerError)
			pipe.end(err)
			cancel()
		}()
		t.handler.ServeHTTP(w, inner)
		w.begin(http.StatusOK)
		err = nil
	}()
	stop := context.AfterFunc(r.Context(), func() { pipe.cut(r.Context().Err()) })
	select {
	case <-w.begun:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	leave := func() {
		stop()
		cancel()
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: w.sent, Body: &memoryBody{pipe, leave}, ContentLength: -1, Request: r, Trailer: http.Header{},
	}, nil
}

// memoryBody ends the handler's context when the caller leaves.
type memoryBody struct {
	*memoryPipe
	leave func()
}

func (b *memoryBody) Close() error {
	b.leave()
	b.cut(http.ErrBodyReadAfterClose)
	return nil
}

type memoryWriter struct {
	header, sent http.Header
	status       int
	pipe         *memoryPipe
	once         sync.Once
	begun        chan struct{}
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) begin(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

func (w *memoryWriter) WriteHeader(status int) { w.begin(status) }

func (w *memoryWriter) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.pipe.Write(p)
}

// Flush begins the answer: what is written is handed over at once anyway.
func (w *memoryWriter) Flush() { w.begin(http.StatusOK) }
