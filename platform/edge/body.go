package edge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
)

// hold reads the body of a request to its end, so that modules never wait for a slow client, and a far one can be asked again when it
// goes away. The server's ReadTimeout ends what comes too slowly. What is held is to be given back with letGo.
func (e *Edge) hold(r *http.Request) ([]byte, *refusal) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.ContentLength > maxBody {
		discard(r)
		return nil, tooLarge()
	}
	// A client may announce much and send nothing, so what it announces is believed only as far as it is small.
	size := int64(512)
	if r.ContentLength >= 0 {
		size = min(r.ContentLength+1, 16<<10) // The one more is where its end is found.
	}
	body := make([]byte, 0, size)
	if e.held.Add(int64(cap(body))) > e.limits.HeldBytes {
		e.letGo(body)
		return nil, busy()
	}
	for {
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > maxBody:
			e.letGo(body)
			discard(r)
			return nil, tooLarge()
		case errors.Is(err, io.EOF):
			return body, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			e.letGo(body)
			return nil, &refusal{code: connect.CodeDeadlineExceeded, status: http.StatusRequestTimeout, why: fmt.Sprintf("the request did not arrive within %v", e.limits.Arrival)}
		case err != nil: // The client has gone, or sends what is no HTTP.
			e.letGo(body)
			return nil, &refusal{code: connect.CodeCanceled, status: http.StatusBadRequest, why: "the request did not arrive"}
		case len(body) == cap(body):
			larger := make([]byte, len(body), 2*cap(body))
			copy(larger, body)
			e.held.Add(int64(-cap(body)))
			body = larger
			if e.held.Add(int64(cap(body))) > e.limits.HeldBytes {
				e.letGo(body)
				return nil, busy()
			}
		}
	}
}

func tooLarge() *refusal {
	return &refusal{code: connect.CodeResourceExhausted, status: http.StatusRequestEntityTooLarge, why: fmt.Sprintf("request is larger than %d bytes", maxBody)}
}

// maxDiscarded is how much of a body that is refused is read for nothing.
const maxDiscarded = 8 << 20

// discard reads what is left of a body that is refused, within reason. Over HTTP/1.1 most clients send all of it before they look for an
// answer, and would otherwise see nothing but a broken connection. Who asks first whether to send it is not told to.
func discard(r *http.Request) {
	if r.ProtoMajor == 1 && r.ContentLength <= maxDiscarded && r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, maxDiscarded) // Whatever comes of it, the answer is the same.
	}
}

// maxRatio is how much more a compressed body can be than what is sent of it: the most that DEFLATE can do.
const maxRatio = 1032

// unfolds takes note of what a body may become where it is decompressed, until the request has been served and that is given back with
// fold. A few bytes a request would otherwise be gigabytes.
func (e *Edge) unfolds(h http.Header, body []byte) (more int64, refused *refusal) {
	for _, name := range [...]string{"Content-Encoding", "Connect-Content-Encoding", "Grpc-Encoding"} {
		if encoding := h[name]; len(encoding) > 0 && encoding[0] != "" && encoding[0] != "identity" {
			more = min(int64(len(body))*maxRatio, rpc.MaxMessageBytes)
		}
	}
	if more > 0 && e.held.Add(more) > e.limits.HeldBytes {
		e.fold(more)
		return 0, busy()
	}
	return more, nil
}

func (e *Edge) fold(more int64) { e.held.Add(-more) }

// letGo gives back what a body took.
func (e *Edge) letGo(body []byte) { e.held.Add(int64(-cap(body))) }

// give gives a request a body that can be read again.
func give(r *http.Request, body []byte) {
	r.ContentLength, r.TransferEncoding, r.Trailer = int64(len(body)), nil, nil
	if len(body) == 0 {
		r.Body, r.GetBody = http.NoBody, nil
		return
	}
	r.GetBody = func() (io.ReadCloser, error) {
		again := &heldBody{}
		again.Reset(body)
		return again, nil
	}
	r.Body, _ = r.GetBody()
}

// heldBody is a body that is in memory.
type heldBody struct{ bytes.Reader }

func (*heldBody) Close() error { return nil }
