package edge_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
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

// TestManyStreams holds that one client cannot have all streams, nor all clients more than there are, and that nobody else is the
// worse for it.
func TestManyStreams(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		for _, far := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, far: %v", p.name, far), func(t *testing.T) {
				t.Parallel()
				d := newDoorWith(t, far, func(c *edge.Config, l *edge.Limits) {
					l.ClientStreams, l.Streams = 5, 7
					c.Authenticate = func(r *http.Request) (rpc.Principal, error) {
						return rpc.Principal{Subject: r.Header.Get("Authorization")}, nil
					}
				})
				d.watch, d.call = open, fine
				watch := func(subject string) (*connect.ServerStreamForClient[parityv1.WatchResponse], error) {
					ctx, info := connect.NewClientContext(limited(t))
					info.RequestHeader().Set("Authorization", subject)
					stream, err := p.client(t, d.url).Watch(ctx, &parityv1.WatchRequest{})
					if err != nil {
						return nil, err
					}
					if !stream.Receive() {
						return nil, errors.Join(stream.Err(), stream.Close())
					}
					t.Cleanup(func() { stream.Close() })
					return stream, nil
				}
				var first *connect.ServerStreamForClient[parityv1.WatchResponse]
				for i := range 20 {
					stream, err := watch("one")
					if i < 5 && err != nil {
						t.Fatal(err)
					}
					if i >= 5 {
						require(t, err, connect.CodeResourceExhausted, "at most 5 streams at once: wait for one to end")
					}
					if i == 0 {
						first = stream
					}
				}
				for range 2 {
					if _, err := watch("another"); err != nil {
						t.Fatal(err)
					}
				}
				_, err := watch("another")
				require(t, err, connect.CodeUnavailable, "too much is going on here: call again")
				if _, err := p.client(t, d.url).Call(limited(t), &parityv1.CallRequest{}); err != nil {
					t.Errorf("a call beside the streams: %v", err)
				}
				if !first.Receive() { // The second item.
					t.Errorf("a stream ended: %v", first.Err())
				}
				first.Close()
				for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
					if _, err = watch("one"); err == nil {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("the slot of a stream that ended is not free: %v", err)
					}
				}
			})
		}
	}
}

// TestManyRequests holds that a process that has enough to do says so at once, whatever it is asked.
func TestManyRequests(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d *door, p protocol) {
		d = newDoorWith(t, d.module != nil, func(_ *edge.Config, l *edge.Limits) { l.Requests = 3 })
		began, finish := make(chan struct{}), make(chan struct{})
		d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			began <- struct{}{}
			<-finish
			return &parityv1.CallResponse{}, nil
		}
		client := p.client(t, d.url)
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				if _, err := client.Call(limited(t), &parityv1.CallRequest{}); err != nil {
					t.Errorf("a call that was let in: %v", err)
				}
			})
			<-began
		}
		ctx, info := connect.NewClientContext(limited(t))
		_, err := client.Call(ctx, &parityv1.CallRequest{})
		require(t, err, connect.CodeUnavailable, "too much is going on here: call again")
		if after := info.ResponseHeader().Get("Retry-After"); after != "1" {
			t.Errorf("the answer has Retry-After %q", after)
		}
		close(finish)
		calls.Wait()
	})
}

// TestManyBytes holds that bodies do not take more memory together than there is for them.
func TestManyBytes(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(_ *edge.Config, l *edge.Limits) { l.HeldBytes = 1 << 20 })
	began, finish := make(chan struct{}), make(chan struct{})
	d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		began <- struct{}{}
		<-finish
		return &parityv1.CallResponse{}, nil
	}
	large := &parityv1.CallRequest{Payload: &parityv1.Payload{Text: strings.Repeat("x", 600<<10)}}
	client := protocols[1].client(t, d.url)
	called := make(chan error, 2)
	call := func() {
		_, err := client.Call(limited(t), large)
		called <- err
	}
	go call()
	<-began
	_, err := client.Call(limited(t), large)
	require(t, err, connect.CodeUnavailable, "too much is going on here: call again")
	close(finish)
	if err := <-called; err != nil {
		t.Error(err)
	}
	idle(t, d)
	go call()
	<-began
	if err := <-called; err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}

// TestManyFoldedBytes holds that what is small only because it is compressed counts as what it may become.
func TestManyFoldedBytes(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(_ *edge.Config, l *edge.Limits) { l.HeldBytes = rpc.MaxMessageBytes + 1<<20 })
	began, finish := make(chan struct{}), make(chan struct{})
	d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
		began <- struct{}{}
		<-finish
		return &parityv1.CallResponse{}, nil
	}
	folded := parityv1connect.NewParityServiceClient(http.DefaultClient, d.url, connect.WithSendGzip())
	large := &parityv1.CallRequest{Payload: &parityv1.Payload{Text: strings.Repeat("x", 3<<20)}}
	called := make(chan error, 1)
	go func() {
		_, err := folded.Call(limited(t), large)
		called <- err
	}()
	<-began
	_, err := folded.Call(limited(t), large)
	require(t, err, connect.CodeUnavailable, "too much is going on here: call again")
	close(finish)
	if err := <-called; err != nil {
		t.Error(err)
	}
	idle(t, d)
}

// TestManyConnections holds that one address cannot have all connections.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(_ *edge.Config, l *edge.Limits) { l.ClientConnections = 3 })
	d.call = fine
	ask := func(conn net.Conn) error {
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	var conns []net.Conn
	for range 3 {
		conns = append(conns, dial(t, d))
		if err := ask(conns[len(conns)-1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(dial(t, d)); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a connection too many was not closed: %v", err)
	}
	conns[0].Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		err := ask(dial(t, d))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the place of a connection that was closed is not free: %v", err)
		}
	}
	if err := ask(conns[1]); err != nil {
		t.Errorf("a connection that was there: %v", err)
	}
}

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
