package edge

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	linesType  = "application/x-ndjson"
	eventsType = "text/event-stream"
)

// restAnswer makes a plain answer of the door's Connect one. What needs no change goes through as it comes.
type restAnswer struct {
	http.ResponseWriter
	request *http.Request
	route   *restRoute // Nil if there is none.
	bare    bool       // Errors are as in an older contract.
	refused *problem   // Why the request goes no further than the door.

	status  int          // Of the door's answer; 0 before it begins.
	mode    restMode     // What is done with its body.
	held    bytes.Buffer // What is kept of it.
	ended   bool         // The stream has ended as streams do,
	failure *problem     // with this error if it is not nil.
	started bool         // The plain answer has begun.
}

var errTooLong = errors.New("the answer is longer than any message")

// restMode is what is done with the door's body.
type restMode int

const (
	pass   restMode = iota // It is the answer.
	keep                   // It is read when it is whole.
	follow                 // It is a stream: envelopes become lines or events.
)

// WriteHeader begins the door's answer, and the plain one if it has the same beginning.
func (a *restAnswer) WriteHeader(status int) {
	if a.status != 0 || status < http.StatusOK {
		return
	}
	a.status = status
	switch kind := a.Header().Get(contentType); {
	case status >= http.StatusBadRequest || a.refused != nil:
		a.mode = keep
	case a.route.method.ServerStream && strings.HasPrefix(kind, connectStream):
		a.mode = follow
	case a.route.creates() || a.bare:
		a.mode = keep
	default:
		a.start(status)
	}
}

// start begins the plain answer.
func (a *restAnswer) start(status int) {
	a.started = true
	for _, name := range []string{"Accept-Encoding", "Connect-Accept-Encoding", "Connect-Content-Encoding"} {
		a.Header().Del(name) // Connect's: what messages may be compressed with.
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *restAnswer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	switch {
	case a.mode == pass:
		return a.ResponseWriter.Write(p)
	case a.held.Len()+len(p) > rpc.MaxMessageBytes+16: // More than any message, and its envelope.
		return 0, errTooLong
	}
	a.held.Write(p)
	if a.mode == follow {
		return len(p), a.forward()
	}
	return len(p), nil
}

// Flush hands over what is there.
func (a *restAnswer) Flush() { _ = a.FlushError() }

// FlushError is Flush for [http.ResponseController].
func (a *restAnswer) FlushError() error {
	if !a.started {
		return nil
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Unwrap lets [http.ResponseController] reach the connection.
func (a *restAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// forward sends on the envelopes that are whole.
func (a *restAnswer) forward() error {
	for a.held.Len() >= 5 {
		head := a.held.Bytes()[:5]
		flags, size := head[0], int(binary.BigEndian.Uint32(head[1:]))
		if a.held.Len() < 5+size {
			return nil
		}
		a.held.Next(5)
		message := a.held.Next(size)
		if flags&2 != 0 {
			a.ended = true
			var end struct{ Error json.RawMessage }
			if json.Unmarshal(message, &end) == nil && end.Error != nil {
				a.failure = problemOf(0, end.Error)
			}
			return nil
		}
		if err := a.item("", message); err != nil {
			return err
		}
	}
	return nil
}

// events reports whether a stream is wanted as events rather than lines.
func (a *restAnswer) events() bool {
	return strings.Contains(a.request.Header.Get("Accept"), eventsType)
}

// begin begins a stream.
func (a *restAnswer) begin() {
	kind := linesType
	if a.events() {
		kind = eventsType
	}
	a.Header().Set(contentType, kind)
	a.start(http.StatusOK)
}

// item sends a message of a stream: a line, or an event.
func (a *restAnswer) item(event string, message []byte) error {
	if !a.started {
		a.begin()
	}
	var b bytes.Buffer
	if a.events() {
		if event != "" {
			b.WriteString("event: " + event + "\n")
		}
		b.WriteString("data: ")
	}
	b.Write(bytes.TrimSpace(message))
	b.WriteByte('\n')
	if a.events() {
		b.WriteByte('\n')
	}
	if _, err := a.ResponseWriter.Write(b.Bytes()); err != nil {
		return err
	}
	return a.FlushError()
}

// finish ends the plain answer when the door's is whole.
func (a *restAnswer) finish() {
	switch {
	case a.status == 0, a.mode == follow && !a.ended:
		panic(http.ErrAbortHandler) // What was cut off must not look as if it had ended.
	case a.mode == follow && a.failure == nil:
		if !a.started { // It is empty.
			a.begin()
		}
	case a.mode == follow && a.started:
		_ = a.item("error", a.failure.text(a.Header().Get(CorrelationHeader)))
	case a.mode == follow:
		a.fail(a.failure)
	case a.mode == pass:
	case a.refused != nil && (a.status == http.StatusNotFound || a.status < http.StatusBadRequest):
		a.fail(a.refused)
	case a.status >= http.StatusBadRequest:
		a.fail(problemOf(a.status, a.held.Bytes()))
	default:
		a.hand()
	}
}

// fail tells what is wrong.
func (a *restAnswer) fail(p *problem) {
	header := a.Header()
	header.Del("Content-Length")
	header.Del("Content-Encoding")
	header.Set(contentType, jsonType)
	if p.status == http.StatusUnauthorized && header.Get(challengeHeader) == "" { // Of a stream, which the door has not seen fail.
		header.Set(challengeHeader, "Bearer")
	}
	a.start(p.status)
	if a.bare {
		_, _ = a.ResponseWriter.Write(p.bare())
		return
	}
	_, _ = a.ResponseWriter.Write(p.text(header.Get(CorrelationHeader)))
}

// hand hands over what was kept, and tells where the new thing is if there is one.
func (a *restAnswer) hand() {
	text := a.held.Bytes()
	if a.bare { // Its clients may know it byte for byte, and protojson puts spaces where it likes.
		var b bytes.Buffer
		if json.Compact(&b, text) == nil {
			text = b.Bytes()
			a.Header().Del("Content-Length")
		}
	}
	if a.route.location {
		if id := idOf(text); id != "" {
			a.Header().Set("Location", a.request.URL.EscapedPath()+"/"+id)
		}
	}
	status := http.StatusOK
	if a.route.creates() {
		status = http.StatusCreated
	}
	a.start(status)
	_, _ = a.ResponseWriter.Write(text)
}

// idOf returns the id of the one thing that an answer holds.
func idOf(answer []byte) string {
	var things map[string]struct{ ID string }
	if json.Unmarshal(answer, &things) != nil || len(things) != 1 {
		return ""
	}
	for _, thing := range things {
		return thing.ID
	}
	return ""
}
