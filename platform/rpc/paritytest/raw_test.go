package paritytest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
)

// What a client of ours never sends, written by hand.

// rawServer is a server and a client without the seam's manners.
type rawServer struct {
	pair *Pair
	url  string
	http *http.Client
}

func newRawServer(t *testing.T) *rawServer {
	way := Ways()[1]
	p := newPair(t, way, Case{})
	never(p)
	peer := way.Serve(t, p.Server)
	return &rawServer{pair: p, url: peer.URL, http: peer.Client.(*http.Client)}
}

// post sends a body and returns the code and message of the error, or "ok".
func (s *rawServer) post(t *testing.T, procedure, contentType string, header map[string]string, body []byte) (code, message string) {
	t.Helper()
	request, err := http.NewRequestWithContext(s.pair.Context, http.MethodPost, s.url+procedure, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := s.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case strings.HasPrefix(contentType, "application/connect+"): // The last envelope has the error.
		if len(answer) < 5 || answer[0]&2 == 0 {
			t.Fatalf("no end of the stream in %q", answer)
		}
		var end struct {
			Error struct{ Code, Message string }
		}
		if err := json.Unmarshal(answer[5:], &end); err != nil {
			t.Fatal(err)
		}
		return end.Error.Code, end.Error.Message
	case response.StatusCode == http.StatusOK:
		return "ok", ""
	}
	var failure struct{ Code, Message string }
	if err := json.Unmarshal(answer, &failure); err != nil {
		t.Fatalf("%s: %q", response.Status, answer)
	}
	return failure.Code, failure.Message
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// enveloped puts a message into the envelope of a stream.
func enveloped(flags byte, message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(message))), message...)
}

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRawRequests(t *testing.T) {
	t.Parallel()
	const (
		call, watch       = parityv1connect.ParityServiceCallProcedure, parityv1connect.ParityServiceWatchProcedure
		unary, jsonUnary  = "application/proto", "application/json"
		stream            = "application/connect+proto"
		exhausted         = "resource_exhausted"
		invalid           = "invalid_argument"
		bombBytes         = 64 << 20
		headerZipped      = "Content-Encoding"
		headerStreamZip   = "Connect-Content-Encoding"
		headerOfPrincipal = "Cleave-Principal"
	)
	bomb := zipped(t, make([]byte, bombBytes))
	large := encoded(t, &parityv1.CallRequest{Payload: sized(rpc.MaxMessageBytes + 100)})
	badText := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "\xff")
	principal := func(text string) map[string]string {
		return map[string]string{headerOfPrincipal: base64.RawURLEncoding.EncodeToString([]byte(text))}
	}
	for _, c := range []struct {
		name, procedure, contentType string
		header                       map[string]string
		body                         []byte
		code, message                string
	}{
		{"gzip bomb", call, unary, map[string]string{headerZipped: "gzip"}, bomb, exhausted, ""},
		{"gzip bomb of JSON", call, jsonUnary, map[string]string{headerZipped: "gzip"}, bomb, exhausted, ""},
		{"gzip bomb in a stream", watch, stream, map[string]string{headerStreamZip: "gzip"}, enveloped(1, bomb), exhausted, ""},
		{"large", call, unary, nil, large, exhausted, ""},
		{"large when it is unzipped", call, unary, map[string]string{headerZipped: "gzip"}, zipped(t, large), exhausted, ""},
		{"large by its own word", watch, stream, nil, []byte{0, 0xff, 0xff, 0xff, 0xff}, exhausted, ""},
		{"not gzip", call, unary, map[string]string{headerZipped: "gzip"}, []byte("zzz"), invalid, ""},
		{"not protobuf", call, unary, nil, []byte{0xff}, invalid, ""},
		{"not JSON", call, jsonUnary, nil, []byte("{"), invalid, ""},
		{"JSON nested too deep", call, jsonUnary, nil, []byte(strings.Repeat(`{"payload":{"child":`, 100_000)), invalid, ""},
		{"text that is not UTF-8", call, unary, nil, badText, invalid, ""},
		{"text that is not UTF-8 in a stream", watch, stream, nil, enveloped(0, badText), invalid, ""},
		{"stream without a request", watch, stream, nil, nil, "unimplemented", "request has no message"},
		{"stream with two requests", watch, stream, nil, append(enveloped(0, nil), enveloped(0, nil)...), "unimplemented", ""},
		{"against the rules", call, jsonUnary, nil, []byte(`{"positive":-1}`), invalid, "validation error: positive: must be greater than or equal to 0"},
		{"principal that is not base64", call, unary, map[string]string{headerOfPrincipal: "?"}, nil, invalid, ""},
		{"principal that is not JSON", call, unary, principal("usr_1"), nil, invalid, ""},
		{"principal of another shape", call, unary, principal(`{"sub":["usr_1"]}`), nil, invalid, ""},
		{"principal with something behind it", call, unary, principal(`{"sub":"usr_1"}{"sub":"usr_2"}`), nil, invalid, ""},
		{"principal that is not base64, for a stream", watch, stream, map[string]string{headerOfPrincipal: "?"}, enveloped(0, nil), invalid, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newRawServer(t)
			code, message := s.post(t, c.procedure, c.contentType, c.header, c.body)
			if code != c.code || c.message != "" && message != c.message {
				t.Errorf("answer is %s: %s, want %s: %s", code, message, c.code, c.message)
			}
			if len(s.pair.noted()) > 0 {
				t.Errorf("the callee was called")
			}
		})
	}
}

// Ids that no client of ours sends are dropped, and the call goes on: they only serve to find it again.
func TestRawIDsAreDropped(t *testing.T) {
	t.Parallel()
	s := newRawServer(t)
	s.pair.OnCall(noteCall(s.pair))
	header := map[string]string{
		"Cleave-Request-Id": "with a blank", "Cleave-Correlation-Id": strings.Repeat("x", 129), "Traceparent": "ä", "Cleave-Caller": "edge",
	}
	if code, message := s.post(t, parityv1connect.ParityServiceCallProcedure, "application/proto", header, nil); code != "ok" {
		t.Fatal(code, message)
	}
	want := &Pair{}
	noteMetadata(want, rpc.Metadata{Caller: "edge"})
	if got := s.pair.noted(); !slices.Equal(got, want.notes) {
		t.Errorf("callee saw %q, want %q", got, want.notes)
	}
}

// A client may ask with GET for what has no side effects, and for nothing else.
func TestRawGet(t *testing.T) {
	t.Parallel()
	s := newRawServer(t)
	for procedure, want := range map[string]int{
		parityv1connect.ParityServiceLookProcedure: http.StatusNotImplemented, // It is reached.
		parityv1connect.ParityServiceCallProcedure: http.StatusMethodNotAllowed,
	} {
		request, err := http.NewRequestWithContext(s.pair.Context, http.MethodGet, s.url+procedure+"?connect=v1&encoding=json&message=%7B%7D", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Cleave-Caller", "caller")
		response, err := s.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", procedure, response.Status, want)
		}
	}
}
