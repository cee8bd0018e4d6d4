package edge

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"
)

// challengeHeader tells a client that was refused how to sign in (RFC 9110, RFC 6750).
const challengeHeader = "WWW-Authenticate"

// answer is what a client gets. It knows whether that has begun, bounds how long a client takes for an item of a stream, and adds to
// answers with the status 401 what HTTP wants there, unless they have it: the chain of a module that refuses somebody who has not signed
// in knows nothing of HTTP.
type answer struct {
	http.ResponseWriter
	begun bool
	http2 bool
	item  time.Duration // Zero before a stream begins.
}

func (a *answer) WriteHeader(status int) {
	a.begun = a.begun || status >= http.StatusOK
	if status == http.StatusUnauthorized && a.Header().Get(challengeHeader) == "" {
		a.Header().Set(challengeHeader, "Bearer")
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.begun = true
	defer a.hurry()()
	return a.ResponseWriter.Write(p)
}

// Flush lets items of a stream go on at once.
func (a *answer) Flush() { _ = a.FlushError() }

// FlushError is Flush that says whether the client is still there.
func (a *answer) FlushError() error {
	a.begun = true
	defer a.hurry()()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap leads to everything else that the connection can do.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// stream makes the answer a stream: its client has a time for each item, instead of one for all that the server gives an answer. What it
// returns is to be called at the end.
func (a *answer) stream(item time.Duration) (end func()) {
	a.item = item
	a.until(time.Time{})
	return func() { a.until(time.Now().Add(item)) } // For what the server still writes.
}

// hurry gives the client its time for what is written now. What it returns ends that.
func (a *answer) hurry() func() {
	if a.item == 0 {
		return func() {}
	}
	a.until(time.Now().Add(a.item))
	return func() {
		if a.http2 { // Whose streams are reset when the time is over, also if nothing waits to be written.
			a.until(time.Time{})
		}
	}
}

func (a *answer) until(deadline time.Time) {
	_ = http.NewResponseController(a.ResponseWriter).SetWriteDeadline(deadline) // Fails for what is no connection.
}

// refusal is why the edge does not hand on a request.
type refusal struct {
	code   connect.Code
	status int           // For who speaks plain HTTP.
	after  time.Duration // When to try again; zero if that would not help.
	shed   bool          // For what matters more.
	why    string
}

func (f *refusal) Error() string { return f.why }

// refuse answers a request that is not handed on. Clients whose messages are enveloped get the code in their protocol. Everybody else,
// Connect's unary clients among them, gets Connect's JSON with the code, under the status that says best what is wrong: 413 and 431 mean
// more to curl, proxies and scanners than the 429 that Connect has for the same code.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	var refused *refusal
	var connectErr *connect.Error
	switch {
	case errors.As(err, &refused):
		connectErr = connect.NewError(refused.code, refused)
		if refused.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(seconds(refused.after)))
			if detail, err := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(refused.after)}); err == nil {
				connectErr.AddDetail(detail)
			}
		}
		if !streams(r.Header) {
			w = &statusWriter{w, refused.status}
		}
	case !errors.As(err, &connectErr):
		connectErr = connect.NewError(connect.CodeInternal, errors.New("internal error"))
	}
	// It is set here because gRPC would send it as a trailer, which HTTP forbids.
	if challenge := connectErr.Meta().Get(challengeHeader); challenge != "" {
		connectErr.Meta().Del(challengeHeader)
		w.Header().Set(challengeHeader, challenge)
	}
	// Who speaks none of the protocols gets what a unary Connect client gets: a status and JSON. Nobody is left to be told of an error.
	_ = connect.NewErrorWriter().Write(w, r, connectErr)
}

// statusWriter answers with a status of its own.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(int) { s.ResponseWriter.WriteHeader(s.status) }

// caught answers for a handler that panicked, if the answer has not begun, and cuts it off otherwise. It is called by defer.
func (a *answer) caught(log *slog.Logger, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // It is this value that net/http compares with.
		panic(p)
	}
	log.ErrorContext(r.Context(), "request panicked", "path", r.URL.Path, "correlation_id", a.Header().Get(CorrelationHeader), "panic", p, "stack", string(debug.Stack()))
	if a.begun {
		panic(http.ErrAbortHandler)
	}
	refuse(a, r, connect.NewError(connect.CodeInternal, errors.New("internal error")))
}
