package edge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/edge"
)

const (
	callPath  = "/cleave.platform.parity.v1.ParityService/Call"
	watchPath = "/cleave.platform.parity.v1.ParityService/Watch"
)

// forbid makes a module that must not be called.
func (d *door) forbid(t *testing.T) {
	d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		t.Error("the module was called")
		return &parityv1.CallResponse{}, nil
	}
	d.watch = func(context.Context, *parityv1.WatchRequest, *connect.ServerStream[parityv1.WatchResponse]) error {
		t.Error("the module was called")
		return nil
	}
}

// fine lets the module answer.
func fine(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	return &parityv1.CallResponse{}, nil
}

// dial opens a connection to a door, which ends with the test.
func dial(t *testing.T, d *door) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// idle waits until a door serves nothing any more.
func idle(t *testing.T, d *door) {
	t.Helper()
	for deadline := time.Now().Add(patience); d.Open() > 0 || d.Held() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests are still served, and %d bytes held", d.Open(), d.Held())
		}
	}
}

// slowly is a body that never ends.
type slowly struct{ closed chan struct{} }

func (s *slowly) Read(p []byte) (int, error) {
	select {
	case <-s.closed:
		return 0, io.ErrClosedPipe
	case <-time.After(10 * time.Millisecond):
		return copy(p, " "), nil
	}
}

func (s *slowly) Close() error { return nil }

// TestSlowBody holds that who sends a body byte by byte is refused after a while, and no module waits for it.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	hurried := func(_ *edge.Config, l *edge.Limits) { l.Arrival = 200 * time.Millisecond }
	for _, p := range protocols {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			d := newDoorWith(t, false, hurried)
			d.forbid(t)
			body := &slowly{closed: make(chan struct{})}
			t.Cleanup(func() { close(body.closed) })
			r, err := http.NewRequestWithContext(limited(t), http.MethodPost, d.url+callPath, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", map[string]string{"Connect JSON": "application/json", "Connect": "application/proto", "gRPC": "application/grpc", "gRPC-Web": "application/grpc-web"}[p.name])
			transport := &http.Transport{Protocols: versions(!p.http2, p.http2)}
			t.Cleanup(transport.CloseIdleConnections)
			response, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			said := fmt.Sprint(response.StatusCode, response.Header, response.Trailer, string(text))
			if want := map[bool]string{true: "Grpc-Status:[4]", false: `"code":"deadline_exceeded"`}[strings.HasPrefix(p.name, "gRPC")]; !strings.Contains(said, want) {
				t.Errorf("got %s, want %s", said, want)
			}
			if response.Header.Get(edge.CorrelationHeader) == "" {
				t.Error("the answer has no correlation id")
			}
			idle(t, d)
		})
	}
	// What is refused is not waited for longer than what is not.
	for name, request := range map[string]string{
		"headers that do not end":         "POST " + callPath + " HTTP/1.1\r\nHost: localhost\r\n",
		"a body of a method that is none": "POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
		"a body that is too large":        "POST " + callPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoorWith(t, false, hurried)
			d.forbid(t)
			conn := dial(t, d)
			io.WriteString(conn, request)
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection is still open: %v", err)
			}
		})
	}
}

// TestSlowReader holds that the stream of a client that does not read ends, at the module too.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		for _, far := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, far: %v", p.name, far), func(t *testing.T) {
				t.Parallel()
				d := newDoorWith(t, far, func(_ *edge.Config, l *edge.Limits) { l.Item = 300 * time.Millisecond })
				ended := make(chan struct{})
				d.watch = func(ctx context.Context, _ *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
					defer close(ended)
					item := &parityv1.WatchResponse{Text: strings.Repeat("x", 512<<10)}
					for {
						if err := stream.Send(item); err != nil {
							return err
						}
					}
				}
				p.options = append(slices.Clone(p.options), connect.WithAcceptCompression("gzip", nil, nil)) // Compressed it is next to nothing.
				stream, err := p.client(t, d.url).Watch(limited(t), &parityv1.WatchRequest{})
				if err != nil {
					t.Fatal(err)
				}
				select {
				case <-ended:
				case <-time.After(patience):
					t.Error("the module still sends")
				}
				idle(t, d)
				stream.Close()
			})
		}
	}
}

// TestQuietStream holds that a stream may be silent for longer than a client has for an item, and an answer.
func TestQuietStream(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		for _, far := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, far: %v", p.name, far), func(t *testing.T) {
				t.Parallel()
				d := newDoorWith(t, far, func(_ *edge.Config, l *edge.Limits) {
					l.Arrival, l.Call, l.Item = 250*time.Millisecond, 250*time.Millisecond, 250*time.Millisecond // In which a busy machine sends a request, too.
				})
				d.watch = func(_ context.Context, _ *parityv1.WatchRequest, stream *connect.ServerStream[parityv1.WatchResponse]) error {
					time.Sleep(400 * time.Millisecond)
					if err := stream.Send(&parityv1.WatchResponse{}); err != nil {
						return err
					}
					time.Sleep(400 * time.Millisecond)
					return nil
				}
				stream, err := p.client(t, d.url).Watch(limited(t), &parityv1.WatchRequest{})
				if err != nil {
					t.Fatal(err)
				}
				items := 0
				for stream.Receive() {
					items++
				}
				if err := errors.Join(stream.Err(), stream.Close()); err != nil || items != 1 {
					t.Errorf("%d items came, and %v", items, err)
				}
			})
		}
	}
}
