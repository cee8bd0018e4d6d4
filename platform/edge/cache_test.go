package edge_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

const browse = "/cleave.platform.parity.v1.ParityService/Browse"

// TestCache holds that what may be kept says so, and is not sent again to who has it, wherever the module lives.
func TestCache(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		text := strings.Repeat("a page ", 300) // Long enough to be compressed.
		d.browse = func(ctx context.Context, r *parityv1.BrowseRequest) (*parityv1.BrowseResponse, error) {
			if r.GetCase() == "missing" {
				return nil, rpc.NotFound("page", r.GetCase())
			}
			return &parityv1.BrowseResponse{Text: text, Subject: rpc.MetadataOf(ctx).Principal.Subject}, nil
		}
		connectGet := browse + "?connect=v1&encoding=json&message=" + url.QueryEscape(`{"case":"x"}`)
		for name, path := range map[string]string{"REST": "/v1/pages/x", "Connect": connectGet} {
			first := d.ask(t, "GET", path, "", "Accept-Encoding: identity")
			tag := first.header.Get("ETag")
			if first.status != 200 || tag == "" || first.header.Get("Cache-Control") != "public, max-age=60" || !strings.Contains(first.body, "a page") {
				t.Fatalf("%s: got %d %v %s", name, first.status, first.header, first.body)
			}
			if strings.Contains(first.body, user.Subject) {
				t.Errorf("%s: the method was told who asks, and anybody may keep %s", name, first.body)
			}
			if !strings.Contains(strings.Join(first.header.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("%s: caches are not told that it may be compressed: %v", name, first.header)
			}
			for _, given := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
				again := d.ask(t, "GET", path, "", "Accept-Encoding: identity", "If-None-Match: "+given)
				if again.status != 304 || again.body != "" || again.header.Get("ETag") != tag || again.header.Get("Cache-Control") != "public, max-age=60" || again.header.Get("Content-Type") != "" {
					t.Errorf("%s: who has %s got %d %v %q", name, given, again.status, again.header, again.body)
				}
			}
			if other := d.ask(t, "GET", path, "", "Accept-Encoding: identity", `If-None-Match: "other"`); other.status != 200 || other.body != first.body || other.header.Get("ETag") != tag {
				t.Errorf("%s: who has another got %d %v", name, other.status, other.header)
			}
			if zipped := d.ask(t, "GET", path, "", "Accept-Encoding: gzip"); zipped.header.Get("Content-Encoding") != "gzip" || zipped.header.Get("ETag") == tag {
				t.Errorf("%s: compressed it is %v", name, zipped.header)
			}
		}
		if head := d.ask(t, "HEAD", "/v1/pages/x", "", "Accept-Encoding: identity"); head.status != 200 || head.body != "" || head.header.Get("ETag") == "" || head.header.Get("Content-Length") == "" {
			t.Errorf("HEAD: got %d %v", head.status, head.header)
		}
		tag := d.ask(t, "GET", "/v1/pages/x", "").header.Get("ETag")
		text = "another page"
		if changed := d.ask(t, "GET", "/v1/pages/x", "", "If-None-Match: "+tag); changed.status != 200 || changed.header.Get("ETag") == tag {
			t.Errorf("what has changed is %d %v", changed.status, changed.header)
		}
		text = ""
		if empty := d.ask(t, "GET", "/v1/pages/x", ""); empty.status != 200 || empty.header.Get("ETag") == "" || empty.body != "{}" {
			t.Errorf("what is empty is %d %v %q", empty.status, empty.header, empty.body)
		}
	})
}

// TestNotKept holds that nothing is kept but what was got, from a method that says so, and was a success.
func TestNotKept(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		d.browse = func(context.Context, *parityv1.BrowseRequest) (*parityv1.BrowseResponse, error) {
			return nil, errors.New("broken")
		}
		d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
			return &parityv1.CallResponse{}, nil
		}
		for name, got := range map[string]answer{
			"an error":               d.ask(t, "GET", "/v1/pages/x", ""),
			"an error of Connect":    d.ask(t, "GET", browse+"?connect=v1&encoding=json&message=%7B%7D", ""),
			"a method that is not":   d.ask(t, "POST", "/v1/calls/x", "{}"),
			"what is wrong":          d.ask(t, "GET", browse+"?connect=v1&encoding=json&message=x", ""),
			"a path that is nothing": d.ask(t, "GET", "/v1/pages/x/y", ""),
		} {
			if got.header.Get("Cache-Control") != "no-store" || len(got.header.Values("Cache-Control")) != 1 || got.header.Get("ETag") != "" {
				t.Errorf("%s may be kept: %d %v", name, got.status, got.header)
			}
		}
		d.browse = func(context.Context, *parityv1.BrowseRequest) (*parityv1.BrowseResponse, error) {
			return &parityv1.BrowseResponse{Text: "x"}, nil
		}
		if got := d.ask(t, "POST", browse, "{}"); got.status != 200 || got.header.Get("Cache-Control") != "no-store" || got.header.Get("ETag") != "" {
			t.Errorf("what was posted may be kept: %d %v", got.status, got.header)
		}
		d.browse = func(context.Context, *parityv1.BrowseRequest) (*parityv1.BrowseResponse, error) {
			return &parityv1.BrowseResponse{Text: strings.Repeat("\x01", rpc.MaxMessageBytes/2)}, nil // Six times as long in JSON.
		}
		if got := d.ask(t, "GET", "/v1/pages/x", "", "Accept-Encoding: identity"); got.status != 200 || len(got.body) < 2*rpc.MaxMessageBytes || got.header.Get("ETag") != "" {
			t.Errorf("what is longer than any message: %d %v, %d bytes", got.status, got.header, len(got.body))
		}
	})
}

// TestKeptTellsNothingOfTheCaller holds that what others may see says nothing of whom it was made for.
func TestKeptTellsNothingOfTheCaller(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) { c.Rate, c.Authenticate = 1, byToken })
	d.browse = func(context.Context, *parityv1.BrowseRequest) (*parityv1.BrowseResponse, error) {
		return &parityv1.BrowseResponse{Text: "x"}, nil
	}
	if got := d.ask(t, "GET", "/v1/pages/x", "", "Authorization: Bearer x"); got.status != 200 || got.header.Get("RateLimit") != "" || got.header.Get("RateLimit-Policy") != "" {
		t.Errorf("got %d %v", got.status, got.header)
	}
}

// TestFarModuleSaysNothingForTheEdge holds that headers of a far module do not stand beside those of the edge.
func TestFarModuleSaysNothingForTheEdge(t *testing.T) {
	t.Parallel()
	far := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "public")
		w.Header().Set("X-Content-Type-Options", "sniff")
		w.Header().Set(edge.CorrelationHeader, "cor_other")
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) {
		c.Route = func(string) http.Handler { return forward(t, far.URL) }
	})
	got := d.ask(t, "POST", "/v1/calls/x", "{}", "X-Correlation-Id: mine")
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", edge.CorrelationHeader: "mine"} {
		if values := got.header.Values(name); len(values) != 1 || values[0] != want {
			t.Errorf("%s is %q, want %s", name, values, want)
		}
	}
}
