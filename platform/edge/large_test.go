package edge_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/edge"
)

// TestLargeBody holds that a body that is too large is refused, whether its length is told or not.
func TestLargeBody(t *testing.T) {
	t.Parallel()
	large := &parityv1.CallRequest{Payload: &parityv1.Payload{Text: strings.Repeat("x", 5<<20)}}
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, false)
			d.forbid(t)
			client := p.client(t, d.url)
			_, err := client.Call(limited(t), large)
			require(t, err, connect.CodeResourceExhausted, "request is larger than 1048576 bytes")
			d.call = fine
			if _, err = client.Call(limited(t), &parityv1.CallRequest{}); err != nil {
				t.Errorf("the next call: %v", err)
			}
			idle(t, d)
		})
	}
	t.Run("curl", func(t *testing.T) {
		t.Parallel()
		d := newDoor(t, false)
		d.forbid(t)
		for name, body := range map[string]io.Reader{"known": strings.NewReader(strings.Repeat("x", 5<<20)), "unknown": io.MultiReader(strings.NewReader(strings.Repeat("x", 5<<20)))} {
			r, err := http.NewRequestWithContext(limited(t), http.MethodPost, d.url+callPath, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			transport := &http.Transport{}
			response, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			text, _ := io.ReadAll(response.Body)
			response.Body.Close()
			transport.CloseIdleConnections()
			if response.StatusCode != http.StatusRequestEntityTooLarge || string(text) != `{"code":"resource_exhausted","message":"request is larger than 1048576 bytes"}` {
				t.Errorf("%s: got %d %s", name, response.StatusCode, text)
			}
		}
	})
}

// zipped returns a body that becomes so many zeros.
func zipped(t *testing.T, zeros int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.CopyN(w, zeroReader{}, zeros); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestBomb holds that a small body that becomes a large one is refused.
func TestBomb(t *testing.T) {
	t.Parallel()
	bomb := zipped(t, 64<<20)
	if len(bomb) > 1<<20 {
		t.Fatalf("the bomb has %d bytes: it would be refused for them", len(bomb))
	}
	envelope := append([]byte{1, 0, byte(len(bomb) >> 16), byte(len(bomb) >> 8), byte(len(bomb))}, bomb...)
	for _, far := range []bool{false, true} {
		for _, c := range []struct {
			name, path, kind, encoding string
			body                       []byte
			http2                      bool
			says                       string
		}{
			{"Connect JSON", callPath, "application/json", "Content-Encoding", bomb, false, `"code":"resource_exhausted"`},
			{"Connect", callPath, "application/proto", "Content-Encoding", bomb, true, `"code":"resource_exhausted"`},
			{"Connect stream", watchPath, "application/connect+proto", "Connect-Content-Encoding", envelope, true, `"code":"resource_exhausted"`},
			{"gRPC", callPath, "application/grpc", "Grpc-Encoding", envelope, true, "Grpc-Status:[8]"},
			{"gRPC-Web", callPath, "application/grpc-web+proto", "Grpc-Encoding", envelope, false, "Grpc-Status:[8]"},
		} {
			t.Run(fmt.Sprintf("%s, far: %v", c.name, far), func(t *testing.T) {
				t.Parallel()
				d := newDoor(t, far)
				d.forbid(t)
				r, err := http.NewRequestWithContext(limited(t), http.MethodPost, d.url+c.path, bytes.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", c.kind)
				r.Header.Set(c.encoding, "gzip")
				transport := &http.Transport{Protocols: versions(!c.http2, c.http2)}
				t.Cleanup(transport.CloseIdleConnections)
				response, err := transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(response.Body)
				response.Body.Close()
				if said := fmt.Sprint(response.StatusCode, response.Header, response.Trailer, string(text)); !strings.Contains(said, c.says) {
					t.Errorf("got %s, want %s", said, c.says)
				}
			})
		}
	}
}

// TestDepth holds that nobody is brought down by what is nested 100,000 times, in fields that there are and in others.
func TestDepth(t *testing.T) {
	t.Parallel()
	const depth = 100_000
	for name, body := range map[string]string{
		"a field": `{"payload":` + strings.Repeat(`{"child":`, depth) + `{}` + strings.Repeat(`}`, depth+1),
		"objects": `{"nothing":` + strings.Repeat(`{"a":`, depth) + `1` + strings.Repeat(`}`, depth+1),
		"lists":   `{"nothing":` + strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth) + `}`,
	} {
		for _, far := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, far: %v", name, far), func(t *testing.T) {
				t.Parallel()
				d := newDoor(t, far)
				d.forbid(t)
				response, text := post(t, d.url, http.Header{"Content-Type": {"application/json"}}, body)
				if response.StatusCode != http.StatusBadRequest || !strings.Contains(text, `"code":"invalid_argument"`) || len(text) > 1000 {
					t.Errorf("got %d %.1000s", response.StatusCode, text)
				}
			})
		}
	}
}

// TestPanic holds that a handler that panics is an internal error, in the protocol of the client, and that the next request is served.
func TestPanic(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) {
				c.Route = func(string) http.Handler {
					return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("hunter2") })
				}
			})
			for range 2 {
				ctx, info := connect.NewClientContext(limited(t))
				_, err := p.client(t, d.url).Call(ctx, &parityv1.CallRequest{})
				require(t, err, connect.CodeInternal, "internal error")
				if info.ResponseHeader().Get(edge.CorrelationHeader) == "" {
					t.Error("the answer has no correlation id")
				}
			}
			idle(t, d)
		})
	}
}
