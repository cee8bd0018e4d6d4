package edge_test

import (
	"context"
	"encoding/base64"
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
			Principal: user, Caller: "edge", CorrelationID: "support-4711", Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
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
			near        bool // Only there: before a far module the edge ends the request itself.
			least, most time.Duration
		}{
			{"a call without a deadline", t.Context(), false, true, 20 * time.Second, 30 * time.Second},
			{"a call with a deadline", short, false, false, time.Second, 20 * time.Second},
			{"a stream without a deadline", t.Context(), true, true, 14 * time.Minute, 15 * time.Minute},
			{"a stream with a deadline", short, true, false, time.Second, 20 * time.Second},
		} {
			if c.near && d.module != nil {
				continue
			}
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
