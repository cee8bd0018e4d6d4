package edge

import (
	"errors"
	"net/http"

	"connectrpc.com/connect"
)

// challengeHeader tells a client that was refused how to sign in (RFC 9110, RFC 6750).
const challengeHeader = "WWW-Authenticate"

// refuse answers a request whose caller was not accepted.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	var connectErr *connect.Error
	if !errors.As(err, &connectErr) {
		connectErr = connect.NewError(connect.CodeInternal, errors.New("internal error"))
	}
	// It is set here because gRPC would send it as a trailer, which HTTP forbids.
	if challenge := connectErr.Meta().Get(challengeHeader); challenge != "" {
		connectErr.Meta().Del(challengeHeader)
		w.Header().Set(challengeHeader, challenge)
	}
	// Who speaks none of the protocols gets what a unary Connect client gets: a status and JSON.
	_ = connect.NewErrorWriter().Write(&challenger{ResponseWriter: w}, r, connectErr)
}

// challenger adds to answers with the status 401 what HTTP wants there, unless they have it: the chain of a module that refuses
// somebody who has not signed in knows nothing of HTTP.
type challenger struct{ http.ResponseWriter }

func (c *challenger) WriteHeader(status int) {
	if status == http.StatusUnauthorized && c.Header().Get(challengeHeader) == "" {
		c.Header().Set(challengeHeader, "Bearer")
	}
	c.ResponseWriter.WriteHeader(status)
}

// Flush lets items of a stream go on at once.
func (c *challenger) Flush() { _ = http.NewResponseController(c.ResponseWriter).Flush() }

// Unwrap leads to everything else that the connection can do.
func (c *challenger) Unwrap() http.ResponseWriter { return c.ResponseWriter }
