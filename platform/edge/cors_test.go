package edge_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	parityv1 "github.com/cleave-go/cleave/gen/cleave/platform/parity/v1"
	"github.com/cleave-go/cleave/platform/edge"
)

// TestOtherPages holds what a web page elsewhere can make a browser do: nothing, unless its origin is allowed.
func TestOtherPages(t *testing.T) {
	t.Parallel()
	json := []string{"application/json"}
	for name, c := range map[string]struct {
		origins      []string
		method, path string
		header       http.Header
		status       int
		called       bool
		allowed      string // Access-Control-Allow-Origin
	}{
		"curl":                            {nil, "POST", callPath, http.Header{"Content-Type": json}, 200, true, ""},
		"a page of its own":               {nil, "POST", callPath, http.Header{"Content-Type": json, "Sec-Fetch-Site": {"same-origin"}}, 200, true, ""},
		"one in an old browser":           {nil, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"http://{host}"}}, 200, true, ""},
		"a page elsewhere":                {nil, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, 403, false, ""},
		"one in an old browser elsewhere": {nil, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"https://evil.example"}}, 403, false, ""},
		"a form":                          {nil, "POST", callPath, http.Header{"Content-Type": {"text/plain"}, "Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}}, 403, false, ""},
		"a page without an origin":        {nil, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"null"}}, 403, false, ""},
		"a page of a sibling":             {nil, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"http://other.localhost"}, "Sec-Fetch-Site": {"same-site"}}, 403, false, ""},
		"another port of this machine":    {nil, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"http://localhost:3000"}, "Sec-Fetch-Site": {"same-site"}}, 403, false, ""},
		"reads":                           {nil, "GET", callPath + "?encoding=json&message=%7B%7D", http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, 403, false, ""},
		"a picture":                       {nil, "GET", callPath + "?encoding=json&message=%7B%7D", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}, 403, false, ""},
		"a link":                          {nil, "GET", "/", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"navigate"}}, 200, false, ""},
		"a preflight":                     {nil, "OPTIONS", callPath, http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}}, 403, false, ""},

		"a page that may":                   {[]string{"https://shop.example"}, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"https://shop.example"}, "Sec-Fetch-Site": {"cross-site"}}, 200, true, "https://shop.example"},
		"its preflight":                     {[]string{"https://shop.example"}, "OPTIONS", callPath, http.Header{"Origin": {"https://shop.example"}, "Access-Control-Request-Method": {"POST"}}, 204, false, "https://shop.example"},
		"a page that may not":               {[]string{"https://shop.example"}, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, 403, false, ""},
		"the preflight of that":             {[]string{"https://shop.example"}, "OPTIONS", callPath, http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}}, 204, false, ""},
		"a page of a like name":             {[]string{"https://shop.example"}, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"https://shop.example.evil.example"}}, 403, false, ""},
		"a page without TLS":                {[]string{"https://shop.example"}, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"http://shop.example"}}, 403, false, ""},
		"every page":                        {[]string{"*"}, "POST", callPath, http.Header{"Content-Type": json, "Origin": {"https://any.example"}, "Sec-Fetch-Site": {"cross-site"}}, 200, true, "*"},
		"a preflight of every page":         {[]string{"*"}, "OPTIONS", callPath, http.Header{"Origin": {"https://any.example"}, "Access-Control-Request-Method": {"POST"}}, 204, false, "*"},
		"a method that is none":             {[]string{"https://shop.example"}, "OPTIONS", callPath, http.Header{"Origin": {"https://shop.example"}, "Access-Control-Request-Method": {"TRACE"}}, 204, false, ""},
		"OPTIONS that is no preflight":      {[]string{"https://shop.example"}, "OPTIONS", callPath, http.Header{}, 404, false, ""},
		"a page that may, of a 404":         {[]string{"https://shop.example"}, "POST", "/nothing", http.Header{"Origin": {"https://shop.example"}}, 404, false, "https://shop.example"},
		"a page that may, of the reference": {[]string{"https://shop.example"}, "GET", "/docs", http.Header{"Origin": {"https://shop.example"}}, 200, false, "https://shop.example"},
		"a header that only we may set":     {[]string{"https://shop.example"}, "OPTIONS", callPath, http.Header{"Origin": {"https://shop.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"cleave-principal"}}, 204, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoorWith(t, false, func(e *edge.Config, _ *edge.Limits) {
				e.Origins, e.OpenAPI = c.origins, []byte(`{"openapi":"3.1.0","info":{"title":"x"},"paths":{"/a":{"get":{}}}}`)
			})
			called := false
			d.call = func(context.Context, *parityv1.CallRequest) (*parityv1.CallResponse, error) {
				called = true
				return &parityv1.CallResponse{}, nil
			}
			r, err := http.NewRequestWithContext(limited(t), c.method, d.url+c.path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.Close = true
			for name, values := range c.header {
				r.Header[name] = []string{strings.Replace(values[0], "{host}", r.Host, 1)}
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			header := response.Header
			if response.StatusCode != c.status || called != c.called || header.Get("Access-Control-Allow-Origin") != c.allowed {
				t.Errorf("got %d, called: %v, with %v", response.StatusCode, called, header)
			}
			if header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed")
			}
			if header.Get(edge.CorrelationHeader) == "" {
				t.Error("the answer has no correlation id")
			}
			if c.origins != nil && !slices.Contains(c.origins, "*") && !strings.Contains(strings.Join(header.Values("Vary"), ","), "Origin") {
				t.Errorf("a cache is not told that it is the answer for this origin: Vary is %q", header.Values("Vary"))
			}
		})
	}
}

// TestPreflight holds what a page that may call is told: what it may send, what it may read, and for how long that is so.
func TestPreflight(t *testing.T) {
	t.Parallel()
	d := newDoorWith(t, false, func(e *edge.Config, _ *edge.Limits) { e.Origins = []string{"https://shop.example"} })
	d.call = fine
	r, err := http.NewRequestWithContext(limited(t), http.MethodOptions, d.url+callPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	asked := "authorization,connect-protocol-version,connect-timeout-ms,content-type,grpc-timeout,x-correlation-id,x-grpc-web,x-user-agent"
	r.Header = http.Header{"Origin": {"https://shop.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {asked}}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	for name, want := range map[string]string{"Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": asked, "Access-Control-Max-Age": "7200"} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	response, _ = post(t, d.url, http.Header{"Origin": {"https://shop.example"}, "Content-Type": {"application/json"}}, "{}")
	exposed := response.Header.Get("Access-Control-Expose-Headers")
	for _, name := range []string{"Grpc-Status", "Grpc-Message", "Retry-After", "X-Correlation-Id", "Ratelimit", "Www-Authenticate"} {
		if !strings.Contains(exposed, name) {
			t.Errorf("a page may not read %s: %s", name, exposed)
		}
	}
}

func TestParseOrigins(t *testing.T) {
	t.Parallel()
	got, err := edge.ParseOrigins(" https://shop.example,http://localhost:3000 , ")
	if want := []string{"https://shop.example", "http://localhost:3000"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if got, err := edge.ParseOrigins(""); err != nil || len(got) > 0 {
		t.Errorf("of nothing: got %v, %v", got, err)
	}
	for _, list := range []string{"shop.example", "https://shop.example/", "https://shop.example/path", "https://*.shop.example", "https://Shop.example", "null", "https://a@shop.example", "**"} {
		if got, err := edge.ParseOrigins(list); err == nil {
			t.Errorf("%s is taken for %v", list, got)
		}
	}
}
