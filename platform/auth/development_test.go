package auth_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/auth"
	"github.com/cleave-go/cleave/platform/rpc"
)

// TestDevelopment holds who is taken for the development user: this machine alone.
func TestDevelopment(t *testing.T) {
	t.Parallel()
	authenticate := auth.Development(rpc.Principal{Subject: "usr_test"})
	for name, c := range map[string]struct {
		host   string
		header http.Header
		want   string
	}{
		"this machine":                      {host: "127.0.0.1:8080", want: "usr_test"},
		"this machine by name":              {host: "localhost:8080", want: "usr_test"},
		"this machine by name alone":        {host: "localhost", want: "usr_test"},
		"this machine over IPv6":            {host: "[::1]:8080", want: "usr_test"},
		"this machine over IPv6, no port":   {host: "[::1]", want: "usr_test"},
		"a name that was made to lead here": {host: "shop.example"},
		"the same with a port":              {host: "shop.example:8080"},
		"a name that looks like it":         {host: "localhost.shop.example"},
		"an address of the network":         {host: "192.168.1.2:8080"},
		"no name":                           {},
		"through a proxy":                   {host: "localhost", header: http.Header{"X-Forwarded-For": {"127.0.0.1"}}},
		"through a modern proxy":            {host: "localhost", header: http.Header{"Forwarded": {"for=127.0.0.1"}}},
		"through a proxy that hides nobody": {host: "localhost", header: http.Header{"X-Forwarded-For": {""}}},
		"as nginx is often told":            {host: "localhost", header: http.Header{"X-Real-Ip": {"192.0.2.1"}}},
		"through a cache":                   {host: "localhost", header: http.Header{"Via": {"1.1 varnish"}}},
		"through a proxy that ends TLS":     {host: "localhost", header: http.Header{"X-Forwarded-Proto": {"https"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			maps.Copy(r.Header, c.header)
			r.Host = c.host
			if principal, err := authenticate(r); err != nil || principal.Subject != c.want {
				t.Errorf("the caller is %q, %v; want %q", principal.Subject, err, c.want)
			}
		})
	}
}

// TestNoIssuer holds that a token that nobody can check is refused: it is neither overlooked nor believed.
func TestNoIssuer(t *testing.T) {
	t.Parallel()
	for name, authenticate := range map[string]func(*http.Request) (rpc.Principal, error){
		"development": auth.Development(rpc.Principal{Subject: "usr_test"}), "anonymous": auth.Anonymous,
	} {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/", nil)
		r.Header.Set("Authorization", "Bearer x")
		if principal, err := authenticate(r); connect.CodeOf(err) != connect.CodeUnauthenticated || !principal.Anonymous() {
			t.Errorf("%s: got %+v, %v", name, principal, err)
		}
	}
	if principal, err := auth.Anonymous(httptest.NewRequest(http.MethodPost, "http://localhost/", nil)); err != nil || !principal.Anonymous() {
		t.Errorf("got %+v, %v", principal, err)
	}
}
