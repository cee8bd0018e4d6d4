package rpc

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
)

// memoryTransport carries HTTP requests to a handler of this process, without a socket. Streams of direct clients use it, so that
// they meet the very handler that a network client meets.
type memoryTransport struct{ handler http.Handler }

// RoundTrip runs the handler on a goroutine of its own, which ends when the handler returns. The handler sees the deadline and
// cancellation of the request's context and none of its values.
func (t *memoryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(&cleanContext{parent: r.Context(), call: nil})
	inner := r.Clone(ctx)
	inner.RequestURI = r.URL.RequestURI()
	inner.Proto, inner.ProtoMajor, inner.ProtoMinor = "HTTP/2.0", 2, 0
	inner.RemoteAddr = "memory"
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	body, pipe := io.Pipe()
	w := &memoryWriter{header: http.Header{}, pipe: pipe, begun: make(chan struct{})}
	go func() {
		defer cancel(nil)
		defer func() {
			if p := recover(); p != nil { // The boundary of the chain has logged what it caught; this is the HTTP layer itself.
				pipe.CloseWithError(errors.New("handler panicked"))
				w.begin(http.StatusInternalServerError)
			}
		}()
		t.handler.ServeHTTP(w, inner)
		w.begin(http.StatusOK)
		pipe.Close()
	}()
	stop := context.AfterFunc(r.Context(), func() { pipe.CloseWithError(r.Context().Err()) })
	select {
	case <-w.begun:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: w.sent, Body: &memoryBody{body, func() { stop(); cancel(nil) }}, ContentLength: -1, Request: r, Trailer: http.Header{},
	}, nil
}

// memoryBody ends the handler's context when the caller leaves.
type memoryBody struct {
	*io.PipeReader
	leave func()
}

func (b *memoryBody) Close() error {
	b.leave()
	return b.PipeReader.Close()
}

type memoryWriter struct {
	header, sent http.Header
	status       int
	pipe         *io.PipeWriter
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
