package paritytest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Only a network can fail as in these cases: what the caller sees is what a service that is not there gives in this process.

// strangers runs a case against a peer that is no server of ours, for each network way.
func strangers(t *testing.T, peer func(*testing.T, Way) rpc.Peer, do func(*testing.T, *Pair) Seen, want Seen) {
	t.Helper()
	for _, way := range Ways() {
		if way.Local {
			continue
		}
		t.Run(way.Name, func(t *testing.T) {
			t.Parallel()
			there := peer(t, way)
			p := &Pair{Way: way}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			t.Cleanup(cancel)
			p.Context = ctx
			server, err := rpc.NewServer(slog.New(slog.NewJSONHandler(&p.log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			p.Directory = rpc.NewDirectory(server, nil, func(string) rpc.Peer { return there })
			p.Client = p.client(t, "caller")
			seen := do(t, p)
			if difference := want.difference(seen); difference != "" {
				t.Errorf("wanted (-), seen (+):\n%s\nlog:\n%s", difference, p.Log())
			}
		})
	}
}

var parityUnavailable = Seen{Code: connect.CodeUnavailable, Message: "parity is unavailable"}

func callIt(_ *testing.T, p *Pair) Seen  { return p.Call(p.Context, &parityv1.CallRequest{}) }
func watchIt(_ *testing.T, p *Pair) Seen { return p.Watch(p.Context, &parityv1.WatchRequest{}) }

// handled is a peer that answers every request with the handler.
func handled(handler http.HandlerFunc) func(*testing.T, Way) rpc.Peer {
	return func(t *testing.T, way Way) rpc.Peer { return way.Serve(t, handler) }
}

func TestPeerIsDown(t *testing.T) {
	t.Parallel()
	down := func(t *testing.T, way Way) rpc.Peer {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		peer := way.Serve(t, http.NotFoundHandler())
		peer.URL = strings.Split(peer.URL, "//")[0] + "//" + address
		return peer
	}
	t.Run("unary", func(t *testing.T) {
		t.Parallel()
		strangers(t, down, func(t *testing.T, p *Pair) Seen {
			seen := callIt(t, p)
			wantLog(t, p, "peer did not answer", "connection refused", "ParityService/Call") // For the operator, not for the caller.
			return seen
		}, parityUnavailable)
	})
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		strangers(t, down, watchIt, parityUnavailable)
	})
}

func TestPeerHangs(t *testing.T) {
	t.Parallel()
	hang := func(t *testing.T, way Way) rpc.Peer {
		release := make(chan struct{})
		peer := way.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-release
		}))
		t.Cleanup(func() { close(release) })
		return peer
	}
	until := func(call func(context.Context, *Pair) Seen) func(*testing.T, *Pair) Seen {
		return func(_ *testing.T, p *Pair) Seen {
			ctx, cancel := context.WithTimeout(p.Context, soon)
			defer cancel()
			return call(ctx, p)
		}
	}
	t.Run("unary", func(t *testing.T) {
		t.Parallel()
		strangers(t, hang, until(func(ctx context.Context, p *Pair) Seen { return p.Call(ctx, &parityv1.CallRequest{}) }), deadlineExceeded)
	})
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		strangers(t, hang, until(func(ctx context.Context, p *Pair) Seen { return p.Watch(ctx, &parityv1.WatchRequest{}) }), deadlineExceeded)
	})
}

// A peer that breaks off or does not speak the protocol, as a proxy between does, is unavailable; its words are for the log alone.
func TestPeerIsNoServerOfOurs(t *testing.T) {
	t.Parallel()
	page := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<h1>10.0.0.7 says no</h1>")
		}
	}
	peers := map[string]http.HandlerFunc{
		"not found":         page(http.StatusNotFound),
		"forbidden":         page(http.StatusForbidden),
		"too many requests": page(http.StatusTooManyRequests),
		"bad gateway":       page(http.StatusBadGateway),
		"page":              page(http.StatusOK),
		"breaks off":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"breaks off in the middle": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "\x00\x00\x00\x00\x20half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	}
	for name, handler := range peers {
		t.Run(name+", unary", func(t *testing.T) {
			t.Parallel()
			strangers(t, handled(handler), callIt, parityUnavailable)
		})
		t.Run(name+", stream", func(t *testing.T) {
			t.Parallel()
			strangers(t, handled(handler), watchIt, parityUnavailable)
		})
	}
}

// A peer of ours that sends what it must not, because it is broken or of another build, is no danger to its caller.
func TestPeerSendsTooMuch(t *testing.T) {
	t.Parallel()
	// Without the seam's limits, which the callee's side would refuse it by.
	bare := func(t *testing.T, way Way) rpc.Peer {
		mux := http.NewServeMux()
		mux.Handle(parityv1connect.NewParityServiceHandler(tooMuch{}))
		return way.Serve(t, mux)
	}
	want := Seen{Code: connect.CodeResourceExhausted, Message: "response: message is larger than 4194304 bytes"}
	t.Run("unary", func(t *testing.T) {
		t.Parallel()
		strangers(t, bare, callIt, want)
	})
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		strangers(t, bare, watchIt, want)
	})
}

// tooMuch answers with more than crosses the seam.
type tooMuch struct {
	parityv1connect.UnimplementedParityServiceHandler
}

func (tooMuch) Call(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
	return &parityv1.CallResponse{Payload: sized(rpc.MaxMessageBytes + 1)}, nil
}

func (tooMuch) Watch(_ context.Context, _ *parityv1.WatchRequest, stream *watchStream) error {
	return stream.Send(&parityv1.WatchResponse{Text: strings.Repeat("x", rpc.MaxMessageBytes+1)})
}
