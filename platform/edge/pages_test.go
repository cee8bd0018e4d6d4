package edge_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"connectrpc.com/connect"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/parity/v1/parityv1cleave"
	webv1 "github.com/cleave-go/cleave/gen/cleave/platform/web/v1"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/rpc"
)

// page answers every visit with this. Headers are given as "Name: value".
func page(status int32, body string, headers ...string) func(context.Context, *parityv1.VisitRequest) (*parityv1.VisitResponse, error) {
	response := &webv1.Response{Status: status, Body: []byte(body)}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		response.Headers = append(response.Headers, &webv1.Header{Name: name, Value: value})
	}
	return func(context.Context, *parityv1.VisitRequest) (*parityv1.VisitResponse, error) {
		return &parityv1.VisitResponse{Response: response}, nil
	}
}

// TestPage holds what a page sees of a request: what it needs, and none of the cookies and headers that are for others.
func TestPage(t *testing.T) {
	t.Parallel()
	for name, far := range map[string]bool{"near": false, "far": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoorWith(t, far, func(c *edge.Config, _ *edge.Limits) {
				c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
			})
			var seen *webv1.Request
			d.visit = func(_ context.Context, r *parityv1.VisitRequest) (*parityv1.VisitResponse, error) {
				seen = r.GetRequest()
				return &parityv1.VisitResponse{Response: &webv1.Response{Status: 303}}, nil
			}
			see := func(want *webv1.Request, wantHeaders map[string]string) {
				t.Helper()
				headers := map[string]string{}
				for _, h := range seen.GetHeaders() {
					headers[h.GetName()] += h.GetValue()
				}
				if seen.GetMethod() != want.GetMethod() || seen.GetPath() != want.GetPath() || seen.GetQuery() != want.GetQuery() || seen.GetNetwork() != want.GetNetwork() || string(seen.GetBody()) != string(want.GetBody()) {
					t.Errorf("the page saw %v, want %v", seen, want)
				}
				if !reflect.DeepEqual(headers, wantHeaders) {
					t.Errorf("the page saw the headers %v, want %v", headers, wantHeaders)
				}
			}

			d.noRedirect(t, "POST", "/parity/both?a=%20b&a", "x=1&y=%ff", "Content-Type: application/x-www-form-urlencoded", "User-Agent: test", "Authorization: Basic YTpi",
				"Cookie: other=1; __Host-cleave_session=s; cleaver=2; cleave_form=\"f=;__Host-other=3; x=cleave_y", "X-Forwarded-For: 203.0.113.7",
				"Cleave-Principal: admin", "X-Custom: 1", "Idempotency-Key: 1", "Accept-Language: de")
			see(&webv1.Request{Method: "POST", Path: "/parity/both", Query: "a=%20b&a", Body: []byte("x=1&y=%ff"), Network: "203.0.113.7/32"}, map[string]string{
				"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "test", "Authorization": "Basic YTpi", "Accept-Language": "de",
				"Cookie": `__Host-cleave_session=s; cleave_form="f=`,
			})

			d.noRedirect(t, "GET", "/parity/got", "", "User-Agent: test", "Cookie: other=1", "X-Forwarded-For: 2001:db8:1:2::3")
			see(&webv1.Request{Method: "GET", Path: "/parity/got", Network: "2001:db8:1:2::/64"}, map[string]string{"User-Agent": "test"})

			d.noRedirect(t, "POST", "/parity/posted", strings.Repeat("x", 64<<10), "User-Agent: test", "Content-Type: text/plain", "X-Forwarded-For: 203.0.113.7")
			see(&webv1.Request{Method: "POST", Path: "/parity/posted", Body: []byte(strings.Repeat("x", 64<<10)), Network: "203.0.113.7/32"}, map[string]string{"User-Agent": "test", "Content-Type": "text/plain"})
		})
	}
}

// noRedirect is ask that stays where it is led on.
func (d *door) noRedirect(t *testing.T, verb, path, body string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(limited(t), verb, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response
}

// TestPageHeaders holds which headers of an answer are the page's, and that the others stay the door's.
func TestPageHeaders(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		d.visit = page(401, "<p>", "content-type: text/html", "Content-Language: de", "Cache-Control: max-age=1", "Content-Security-Policy: default-src 'self'",
			"Referrer-Policy: same-origin", "Location: /elsewhere", "Retry-After: 9", "www-authenticate: Basic", "Set-Cookie: cleave_a=1", "set-cookie: cleave_b=2",
			"X-Content-Type-Options: none", "Cross-Origin-Resource-Policy: cross-origin", "Access-Control-Allow-Origin: *", "Strict-Transport-Security: max-age=0",
			"X-Correlation-Id: mine", "Content-Length: 1", "Content-Encoding: gzip", "Transfer-Encoding: chunked", "Connection: upgrade", "Trailer: X", "Date: never", "X-Custom: 1")
		got := d.ask(t, "GET", "/parity/both", "", "X-Correlation-Id: theirs")
		if got.status != 401 || got.body != "<p>" {
			t.Errorf("got %d %q", got.status, got.body)
		}
		got.header.Del("Date")
		want := http.Header{
			"Content-Type": {"text/html"}, "Content-Language": {"de"}, "Cache-Control": {"max-age=1"}, "Content-Security-Policy": {"default-src 'self'"},
			"Referrer-Policy": {"same-origin"}, "Location": {"/elsewhere"}, "Retry-After": {"9"}, "Www-Authenticate": {"Basic"}, "Set-Cookie": {"cleave_a=1", "cleave_b=2"},
			"X-Content-Type-Options": {"nosniff"}, "Cross-Origin-Resource-Policy": {"same-origin"}, "X-Correlation-Id": {"theirs"}, "Content-Length": {"3"},
		}
		if !reflect.DeepEqual(got.header, want) {
			t.Errorf("got %v, want %v", got.header, want)
		}
	})
}

// TestPageInjection holds that the end of a line in a header of a module ends no line of the answer.
func TestPageInjection(t *testing.T) {
	t.Parallel()
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t, false)
			d.visit = page(200, "all", "Location: /a\r\nX-Evil: 1\r\n\r\n<script>", "Set-Cookie: cleave_a=1\nX-Evil: 1", "X-Good\r\nX-Evil: 1", "Content-Language: de")
			transport := &http.Transport{Protocols: versions(!http2, http2)}
			t.Cleanup(transport.CloseIdleConnections)
			r, err := http.NewRequestWithContext(limited(t), http.MethodGet, d.url+"/parity/both", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := transport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != 200 || string(body) != "all" || response.Header.Get("Content-Language") != "de" {
				t.Errorf("got %d %q %v, %v", response.StatusCode, body, response.Header, err)
			}
			if response.Header["X-Evil"] != nil {
				t.Errorf("a line was added: %v", response.Header)
			}
		})
	}
}

// TestPageRefuses holds what does not reach a page, and what it is told: in a sentence, as a person may read it.
func TestPageRefuses(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		d.visit = func(context.Context, *parityv1.VisitRequest) (*parityv1.VisitResponse, error) {
			t.Error("the page was reached")
			return &parityv1.VisitResponse{}, nil
		}
		for name, c := range map[string]struct {
			verb, path, body, header string
			status                   int
			allow, says              string
		}{
			"HEAD":                    {"HEAD", "/parity/both", "", "", 405, "GET, POST", ""},
			"HEAD of what is got":     {"HEAD", "/parity/got", "", "", 405, "GET", ""},
			"a form where none is":    {"POST", "/parity/got", "x=1", "", 405, "GET", "GET"},
			"what is not got":         {"GET", "/parity/posted", "", "", 405, "POST", "POST"},
			"another method":          {"DELETE", "/parity/both", "", "", 405, "GET, POST", "GET, POST"},
			"a large form":            {"POST", "/parity/both", strings.Repeat("x", 64<<10+1), "", 413, "", "larger than 65536 bytes"},
			"a form that is too much": {"POST", "/parity/both", strings.Repeat("x", 5<<20), "", 413, "", "larger than"},
			"a compressed form":       {"POST", "/parity/both", "x=1", "Content-Encoding: gzip", 415, "", "compressed"},
			"a form of another site":  {"POST", "/parity/both", "x=1", "Sec-Fetch-Site: cross-site", 403, "", "CLEAVE_CORS_ORIGINS"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				headers := []string{"Content-Type: application/x-www-form-urlencoded"}
				if c.header != "" {
					headers = append(headers, c.header)
				}
				got := d.ask(t, c.verb, c.path, c.body, headers...)
				if got.status != c.status || got.header.Get("Allow") != c.allow || !strings.Contains(got.body, c.says) || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
					t.Errorf("got %d %q %v", got.status, got.body, got.header)
				}
				if got.header.Get(edge.CorrelationHeader) == "" || got.header.Get("X-Content-Type-Options") == "" {
					t.Errorf("the door's headers are missing: %v", got.header)
				}
			})
		}
		for _, c := range [][2]string{{"GET", "/parity%2Fboth"}, {"GET", "/%70arity/both"}, {"GET", "/parity/both/"}, {"POST", "/cleave.platform.parity.v1.PageService/Visit"}} {
			t.Run(c[1], func(t *testing.T) {
				t.Parallel()
				if got := d.ask(t, c[0], c[1], ""); got.status != 404 {
					t.Errorf("got %d %q", got.status, got.body)
				}
			})
		}
	})
}

// TestPageOrigins holds which origins may send to a page: those that are named, and its own. * names none.
func TestPageOrigins(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(c *edge.Config, _ *edge.Limits) { c.Origins = []string{"*", "https://shop.example"} })
	d.visit = page(200, "")
	for name, c := range map[string]struct {
		verb   string
		header []string
		status int
	}{
		"a program":                  {"POST", nil, 200},
		"a form of its own":          {"POST", []string{"Sec-Fetch-Site: same-origin", "Origin: " + d.url}, 200},
		"that in an old browser":     {"POST", []string{"Origin: " + d.url}, 200},
		"an origin that is named":    {"POST", []string{"Sec-Fetch-Site: cross-site", "Origin: https://shop.example"}, 200},
		"a form elsewhere":           {"POST", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Origin: https://evil.example"}, 403},
		"that in an old browser too": {"POST", []string{"Origin: https://evil.example"}, 403},
		"a form of nowhere":          {"POST", []string{"Origin: null"}, 403},
		"a script elsewhere":         {"GET", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 403},
		"a link":                     {"GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := d.ask(t, c.verb, "/parity/both", "", c.header...); got.status != c.status {
				t.Errorf("got %d %s", got.status, got.body)
			}
		})
	}
}

// TestPageFails holds what a visitor is told when a module has no answer, or one that is none.
func TestPageFails(t *testing.T) {
	t.Parallel()
	plain(t, func(t *testing.T, d *door) {
		for _, c := range []struct {
			visit  func(context.Context, *parityv1.VisitRequest) (*parityv1.VisitResponse, error)
			status int
			says   string
		}{
			{func(context.Context, *parityv1.VisitRequest) (*parityv1.VisitResponse, error) {
				return nil, rpc.Errorf(connect.CodeUnavailable, "BUSY", "too many sign in: try again")
			}, 503, "too many sign in: try again\n"},
			{func(context.Context, *parityv1.VisitRequest) (*parityv1.VisitResponse, error) {
				return nil, errors.New("hunter2")
			}, 500, "internal error\n"},
			{func(context.Context, *parityv1.VisitRequest) (*parityv1.VisitResponse, error) {
				return &parityv1.VisitResponse{}, nil
			}, 502, "the answer has no status\n"},
			{page(100, "more", "Content-Type: text/html"), 502, "the answer has no status\n"},
			{page(600, "more", "Content-Type: text/html"), 502, "the answer has no status\n"},
		} {
			d.visit = c.visit
			got := d.ask(t, "GET", "/parity/both", "")
			if got.status != c.status || got.body != c.says || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("got %d %q %v, want %d %q", got.status, got.body, got.header, c.status, c.says)
			}
		}
	})
}

// TestPageAnswers holds the same of what is between the door and a module: an answer that cannot be read, and one that is cut off.
func TestPageAnswers(t *testing.T) {
	t.Parallel()
	var module http.HandlerFunc
	d := &door{url: serve(t, edge.New(edge.Config{
		Services: []*rpc.Service{parityv1cleave.PageService},
		Route: func(string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { module(w, r) })
		},
	})).URL}
	module = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "\xff\xff hunter2") }
	if got := d.ask(t, "GET", "/parity/both", ""); got.status != 502 || got.body != "the answer cannot be read\n" {
		t.Errorf("got %d %q", got.status, got.body)
	}
	module = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(502)
		io.WriteString(w, "<html>nobody is there</html>")
	}
	if got := d.ask(t, "GET", "/parity/both", ""); got.status != 502 || strings.Contains(got.body, "<") {
		t.Errorf("got %d %q", got.status, got.body)
	}
	module = func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "begun")
		panic(http.ErrAbortHandler)
	}
	r, err := http.NewRequestWithContext(limited(t), http.MethodGet, d.url+"/parity/both", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	if response, err := http.DefaultClient.Do(r); err == nil {
		response.Body.Close()
		t.Errorf("an answer that was cut off has the status %d", response.StatusCode)
	}
}

// TestPagePaths holds that a door whose contracts give one path two meanings does not open.
func TestPagePaths(t *testing.T) {
	t.Parallel()
	const visit = "edge: /cleave.platform.parity.v1.PageService/Visit has a page at "
	for _, c := range []struct {
		paths []string
		says  string
	}{
		{[]string{"/a", "/v1/calls", "/v1/other/a", "/docs-of-ours"}, "<nil>"},
		{[]string{"/a", "/b", "/a"}, visit + "/a, where /cleave.platform.parity.v1.PageService/Visit has one"},
		{[]string{"/v1/calls/a"}, visit + "/v1/calls/a, where /cleave.platform.parity.v1.ParityService/Call is"},
		{[]string{"/v1/pages/a"}, visit + "/v1/pages/a, where /cleave.platform.parity.v1.ParityService/Browse is"},
		{[]string{"/"}, visit + "/, where what describes the port is"},
		{[]string{"/openapi.json"}, visit + "/openapi.json, where what describes the port is"},
		{[]string{"/docs"}, visit + "/docs, where what describes the port is"},
		{[]string{"/docs/a"}, visit + "/docs/a, where what describes the port is"},
	} {
		method := *parityv1cleave.PageService.Methods[0]
		method.Pages = nil
		for _, path := range c.paths {
			method.Pages = append(method.Pages, rpc.Page{Path: path, Get: true})
		}
		services := []*rpc.Service{parityv1cleave.ParityService, {Name: "pages", Module: "parity", Methods: []*rpc.Method{&method}}}
		var said any
		func() {
			defer func() { said = recover() }()
			edge.New(edge.Config{Services: services, Route: func(string) http.Handler { return http.NotFoundHandler() }})
		}()
		if got := fmt.Sprint(said); got != c.says {
			t.Errorf("%v: got %q, want %q", c.paths, got, c.says)
		}
	}
}

// TestPageCookies holds that a page sets cookies of the house and no others: those of the shop's other programs at the same host are theirs.
func TestPageCookies(t *testing.T) {
	t.Parallel()
	d := newDoor(t, false)
	d.visit = page(200, "", "Set-Cookie: cleave_a=1", "Set-Cookie: sid=1", "set-cookie: __Host-cleave_b=2; Path=/", "Set-Cookie: __Secure-cleave_c=3", "Set-Cookie: =cleave_d", "Set-Cookie: x; cleave_e=1")
	if got, want := d.ask(t, "GET", "/parity/both", "").header["Set-Cookie"], []string{"cleave_a=1", "__Host-cleave_b=2; Path=/"}; !reflect.DeepEqual(got, want) {
		t.Errorf("the browser is told to keep %q", got)
	}
}

// TestPageFromAnywhere holds that pages of other sites post where a page says so, and there without the cookies of who is at the browser.
func TestPageFromAnywhere(t *testing.T) {
	t.Parallel()
	d := newDoor(t, false)
	var cookies string
	d.visit = func(_ context.Context, r *parityv1.VisitRequest) (*parityv1.VisitResponse, error) {
		cookies = "none"
		for _, h := range r.GetRequest().GetHeaders() {
			if h.GetName() == "Cookie" {
				cookies = h.GetValue()
			}
		}
		return &parityv1.VisitResponse{Response: &webv1.Response{Status: 200, Headers: []*webv1.Header{{Name: "Set-Cookie", Value: "cleave_session=other"}}}}, nil
	}
	for name, c := range map[string]struct {
		verb, path, site string
		status           int
		cookies          string
	}{
		"a page of ours":           {"POST", "/parity/posted", "same-origin", 200, "cleave_session=s"},
		"a page elsewhere":         {"POST", "/parity/posted", "cross-site", 200, "none"},
		"a page of a sibling":      {"POST", "/parity/posted", "same-site", 200, "none"},
		"where no other may post":  {"POST", "/parity/both", "cross-site", 403, ""},
		"with another method":      {"PUT", "/parity/posted", "cross-site", 403, ""},
		"to something beside that": {"POST", "/parity/posted/", "cross-site", 403, ""},
	} {
		cookies = ""
		got := d.ask(t, c.verb, c.path, "x=1", "Cookie: cleave_session=s", "Sec-Fetch-Site: "+c.site, "Sec-Fetch-Mode: navigate", "Content-Type: application/x-www-form-urlencoded")
		if got.status != c.status || cookies != c.cookies {
			t.Errorf("%s: got %d %s, and the page saw the cookies %q", name, got.status, got.body, cookies)
		}
		if sets, may := got.header["Set-Cookie"] != nil, c.site == "same-origin"; sets != may {
			t.Errorf("%s: the browser is told to keep %q", name, got.header["Set-Cookie"])
		}
	}
}
