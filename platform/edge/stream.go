package edge

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"connectrpc.com/connect"
)

// The beginnings of the content types whose bodies are envelopes: five bytes, flags and length, before each message.
const (
	connectStream = "application/connect+"
	grpcWeb       = "application/grpc-web"
	grpc          = "application/grpc" // And of gRPC-Web.
)

// streams reports whether a body of this kind is made of envelopes. Unary Connect is not.
func streams(header http.Header) bool {
	kind := header.Get("Content-Type")
	return strings.HasPrefix(kind, connectStream) || strings.HasPrefix(kind, grpc)
}

// endWell lets an answer of a module end with an error that its client understands when the module is gone in the middle of it, or
// this process stops. Otherwise the connection would be cut, which every client takes for something else.
func endWell(r *http.Response, module string, log *slog.Logger) {
	if streams(r.Header) {
		r.Body = &wellEnding{ReadCloser: r.Body, response: r, module: module, log: log}
	}
}

// wellEnding is the body of an answer made of envelopes.
type wellEnding struct {
	io.ReadCloser
	response *http.Response
	module   string
	log      *slog.Logger

	head  []byte // What has been read of the envelope's five bytes.
	rest  uint32 // What is still to come of its message.
	ended bool   // The envelope that ends the stream has begun.
	tail  []byte // What is put after the last whole envelope.
	cut   bool   // The module's part is over.
}

// Read reads what the module sends, and instead of an error after a whole envelope the end of the stream.
func (b *wellEnding) Read(p []byte) (int, error) {
	if b.cut {
		if len(b.tail) == 0 {
			return 0, io.EOF
		}
		n := copy(p, b.tail)
		b.tail = b.tail[n:]
		return n, nil
	}
	n, err := b.ReadCloser.Read(p)
	b.follow(p[:n])
	if err == nil || errors.Is(err, io.EOF) || len(b.head) > 0 || b.rest > 0 {
		return n, err
	}
	b.cut = true
	if !b.ended {
		b.end(err)
	}
	return n, nil
}

// follow keeps track of the envelopes.
func (b *wellEnding) follow(p []byte) {
	for len(p) > 0 {
		if b.rest > 0 {
			n := min(int(b.rest), len(p))
			b.rest -= uint32(n)
			p = p[n:]
			continue
		}
		n := min(5-len(b.head), len(p))
		b.head = append(b.head, p[:n]...)
		p = p[n:]
		if len(b.head) == 5 {
			// The end of a stream of Connect and of gRPC-Web.
			b.ended = b.ended || b.head[0]&(1<<1|1<<7) != 0
			b.rest = binary.BigEndian.Uint32(b.head[1:])
			b.head = b.head[:0]
		}
	}
}

// end puts an error at the end of the stream, in the protocol of the client.
func (b *wellEnding) end(err error) {
	code, message := connect.CodeUnavailable, b.module+" is unavailable"
	if errors.Is(b.response.Request.Context().Err(), context.DeadlineExceeded) {
		code, message = connect.CodeDeadlineExceeded, context.DeadlineExceeded.Error()
	}
	b.log.WarnContext(b.response.Request.Context(), "answer of a module was cut off", "module", b.module, "error", err)
	status := strconv.Itoa(int(code))
	switch kind := b.response.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, connectStream):
		// A map of strings can be encoded.
		text, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code.String(), "message": message}})
		b.tail = envelope(1<<1, text)
	case strings.HasPrefix(kind, grpcWeb):
		b.tail = envelope(1<<7, fmt.Appendf(nil, "grpc-status: %s\r\ngrpc-message: %s\r\n", status, url.PathEscape(message)))
	default:
		b.response.Trailer = http.Header{"Grpc-Status": {status}, "Grpc-Message": {url.PathEscape(message)}}
	}
}

func envelope(flags byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(message))), message...)
}
