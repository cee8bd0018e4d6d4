// Package web lets a module that has pages serve them with an ordinary [http.Handler], wherever it lives: the edge makes a message of a
// request (see cleave.platform.v1.Pages), and here it becomes a request again.
//
// It does not own what is let through on the way: that is the edge.
package web

import (
	"bytes"
	"context"
	"net/http"
	"net/url"

	webv1 "github.com/cleave-go/cleave/gen/cleave/platform/web/v1"
)

// Serve has a handler serve a request, and returns its answer. The context is that of the call. RemoteAddr of the request is the network
// that the edge has seen, without a port; there is no host.
func Serve(ctx context.Context, handler http.Handler, asked *webv1.Request) *webv1.Response {
	r := &http.Request{
		Method: asked.GetMethod(), URL: &url.URL{Path: asked.GetPath(), RawQuery: asked.GetQuery()}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, ContentLength: int64(len(asked.GetBody())), RemoteAddr: asked.GetNetwork(),
	}
	for _, h := range asked.GetHeaders() {
		r.Header.Add(h.GetName(), h.GetValue())
	}
	if len(asked.GetBody()) > 0 {
		r.Body = body{bytes.NewReader(asked.GetBody())}
	}
	w := &recorder{header: http.Header{}}
	handler.ServeHTTP(w, r.WithContext(ctx))
	w.WriteHeader(http.StatusOK)
	answer := &webv1.Response{Status: int32(w.status), Body: w.body.Bytes()}
	for name, values := range w.sent {
		for _, value := range values {
			answer.Headers = append(answer.Headers, &webv1.Header{Name: name, Value: value})
		}
	}
	return answer
}

type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

// recorder keeps an answer.
type recorder struct {
	header, sent http.Header // What the handler sets, and what it was when the answer began.
	status       int         // 0 before that.
	body         bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
