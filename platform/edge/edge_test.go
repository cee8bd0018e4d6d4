package edge_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

// TestMetadata holds that the edge says who calls and why, whatever the client says.
func TestMetadata(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d *door, p protocol) {
		var seen rpc.Metadata
		d.call = func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			seen = rpc.MetadataOf(ctx)
			return &parityv1.CallResponse{}, nil
		}
		client := p.client(t, d.url)
		ctx, info := connect.NewClientContext(limited(t))
		somebody := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"usr_somebody","roles":["admin"]}`))
		for name, value := range map[string]string{
			"Cleave-Principal": somebody, "Cleave-Caller": "orders", "Cleave-Request-Id": "mine", "Cleave-Correlation-Id": "mine",
			"X-Correlation-Id": "support-4711", "Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		} {
			info.RequestHeader().Set(name, value)
		}
		if _, err := client.Call(ctx, &parityv1.CallRequest{}); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(seen.RequestID, "req_") {
			t.Errorf("the request id is %q", seen.RequestID)
		}
		seen.RequestID = ""
		want := rpc.Metadata{
			Principal: user, Caller: "edge", CorrelationID: "support-4711",
			Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", // A stranger does not say what is recorded.
		}
		if !reflect.DeepEqual(seen, want) {
			t.Errorf("the module saw %+v, want %+v", seen, want)
		}
		if got := info.ResponseHeader().Get(edge.CorrelationHeader); got != "support-4711" {
			t.Errorf("the answer has the correlation id %q", got)
		}

		ctx, info = connect.NewClientContext(limited(t))
		info.RequestHeader().Set("X-Correlation-Id", "not one")
		if _, err := client.Call(ctx, &parityv1.CallRequest{}); err != nil {
			t.Fatal(err)
		}
		got := info.ResponseHeader().Get(edge.CorrelationHeader)
		if !strings.HasPrefix(got, "cor_") || got != seen.CorrelationID {
			t.Errorf("the answer has the correlation id %q, the module saw %q", got, seen.CorrelationID)
		}
	})
}

// TestNotPublic holds that what is not public is not there.
func TestNotPublic(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d *door, p protocol) {
		_, err := p.client(t, d.url).Look(limited(t), &parityv1.LookRequest{})
		if connect.CodeOf(err) != connect.CodeUnimplemented {
			t.Errorf("got %v, want unimplemented", err)
		}
	})
}

func TestIndex(t *testing.T) {
	t.Parallel()
	d := newDoor(t, false)
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{http.MethodGet, "/", 200, "POST /cleave.platform.parity.v1.ParityService/Call\n  POST /cleave.platform.parity.v1.ParityService/Watch\n"},
		{http.MethodPost, "/", 404, `{"code":"unimplemented","message":"there is no such public method; GET / lists them"}`},
		{http.MethodGet, "/cleave.platform.parity.v1.ParityService/Look", 404, `"code":"unimplemented"`},
		{http.MethodGet, "/metrics", 404, `"code":"unimplemented"`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, d.url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != c.status || !strings.Contains(string(text), c.says) || strings.Contains(string(text), "POST /cleave.platform.parity.v1.ParityService/Look") {
			t.Errorf("%s %s: got %d %q, %v", c.method, c.path, response.StatusCode, text, err)
		}
	}
}

// TestDeadline holds that every request has an end: the client's, or else the edge's.
func TestDeadline(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, d *door, p protocol) {
		left := make(chan time.Duration, 1)
		note := func(ctx context.Context) {
			deadline, _ := ctx.Deadline()
			left <- time.Until(deadline)
		}
		d.call = func(ctx context.Context, _ *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			note(ctx)
			return &parityv1.CallResponse{}, nil
		}
		d.watch = func(ctx context.Context, _ *parityv1.WatchRequest, _ *connect.ServerStream[parityv1.WatchResponse]) error {
			note(ctx)
			return nil
		}
		client := p.client(t, d.url)
		short, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for _, c := range []struct {
			name        string
			ctx         context.Context
			stream      bool
			least, most time.Duration
		}{
			{"a call without a deadline", t.Context(), false, 20 * time.Second, 30 * time.Second},
			{"a call with a deadline", short, false, time.Second, 20 * time.Second},
			{"a stream without a deadline", t.Context(), true, 14 * time.Minute, 15 * time.Minute},
			{"a stream with a deadline", short, true, time.Second, 20 * time.Second},
		} {
			var err error
			if c.stream {
				var stream *connect.ServerStreamForClient[parityv1.WatchResponse]
				if stream, err = client.Watch(c.ctx, &parityv1.WatchRequest{}); err == nil {
					stream.Receive()
					err = stream.Close()
				}
			} else {
				_, err = client.Call(c.ctx, &parityv1.CallRequest{})
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := <-left; got < c.least || got > c.most {
				t.Errorf("%s: the module has %v", c.name, got)
			}
		}
	})
}

// TestDeadlineOfClient holds that the edge ends a request when its client has given up, also if the module does not.
func TestDeadlineOfClient(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"Connect":  {"Content-Type": {"application/json"}, "Connect-Timeout-Ms": {"100"}},
		"gRPC":     {"Content-Type": {"application/grpc"}, "Grpc-Timeout": {"100m"}},
		"gRPC-Web": {"Content-Type": {"application/grpc-web+proto"}, "Grpc-Timeout": {"100000u"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			module := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) {
				c.Route = func(string) http.Handler { return forward(t, serve(t, module).URL) }
			})
			response, text := post(t, d.url, header, "\x00\x00\x00\x00\x00")
			if said := fmt.Sprint(response.StatusCode, response.Header, response.Trailer, text); !strings.Contains(said, "deadline") {
				t.Errorf("got %s", said)
			}
		})
	}
}

// TestOddDeadlines holds that a deadline that cannot be read, or is longer than the edge allows, gives nobody more time.
func TestOddDeadlines(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"long":            {"Content-Type": {"application/json"}, "Connect-Timeout-Ms": {"9999999999"}},
		"too long":        {"Content-Type": {"application/json"}, "Connect-Timeout-Ms": {"99999999999999999999"}},
		"negative":        {"Content-Type": {"application/json"}, "Connect-Timeout-Ms": {"-1"}},
		"a word":          {"Content-Type": {"application/json"}, "Connect-Timeout-Ms": {"never"}},
		"a long one":      {"Content-Type": {"application/grpc"}, "Grpc-Timeout": {"99999999H"}},
		"without a unit":  {"Content-Type": {"application/grpc"}, "Grpc-Timeout": {"10"}},
		"only a unit":     {"Content-Type": {"application/grpc"}, "Grpc-Timeout": {"S"}},
		"of another kind": {"Content-Type": {"application/json"}, "Grpc-Timeout": {"1n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var left time.Duration
			d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) {
				c.Route = func(string) http.Handler {
					return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						deadline, _ := r.Context().Deadline()
						left = time.Until(deadline)
					})
				}
			})
			post(t, d.url, header, "{}")
			if left < 20*time.Second || left > 30*time.Second {
				t.Errorf("the module has %v", left)
			}
		})
	}
}
