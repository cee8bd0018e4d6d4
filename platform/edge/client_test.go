package edge_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/edge"
)

// TestNetwork holds where a request comes from: nobody can say so but the proxies that are trusted.
func TestNetwork(t *testing.T) {
	t.Parallel()
	trusted, err := edge.ParseProxies("10.0.0.0/8, 192.0.2.7,2001:db8:ffff::/48")
	if err != nil {
		t.Fatal(err)
	}
	door := edge.New(edge.Config{Proxies: trusted})
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"a client", "198.51.100.1:4711", nil, "198.51.100.1/32"},
		{"a client of IPv6", "[2001:db8:1:2:3:4:5:6]:4711", nil, "2001:db8:1:2::/64"},
		{"a client who says it is another", "198.51.100.1:4711", []string{"203.0.113.1"}, "198.51.100.1/32"},
		{"a proxy", "10.1.2.3:4711", []string{"198.51.100.1"}, "198.51.100.1/32"},
		{"a proxy by its address", "192.0.2.7:4711", []string{"198.51.100.1"}, "198.51.100.1/32"},
		{"a neighbour of that", "192.0.2.8:4711", []string{"198.51.100.1"}, "192.0.2.8/32"},
		{"a proxy of IPv6", "[2001:db8:ffff::1]:4711", []string{"2001:db8:1:2:3::1"}, "2001:db8:1:2::/64"},
		{"a proxy in IPv6 that is one of IPv4", "[::ffff:10.1.2.3]:4711", []string{"198.51.100.1"}, "198.51.100.1/32"},
		{"a client who says something to a proxy", "10.1.2.3:4711", []string{"203.0.113.1, 198.51.100.1"}, "198.51.100.1/32"},
		{"the same in a line of its own", "10.1.2.3:4711", []string{"203.0.113.1", "198.51.100.1"}, "198.51.100.1/32"},
		{"two proxies", "10.1.2.3:4711", []string{"203.0.113.1, 198.51.100.1 , 10.9.9.9"}, "198.51.100.1/32"},
		{"a client who says it is a proxy", "10.1.2.3:4711", []string{"203.0.113.1, 10.9.9.9, 198.51.100.1"}, "198.51.100.1/32"},
		{"nobody but proxies", "10.1.2.3:4711", []string{"10.9.9.9,10.8.8.8"}, "10.9.9.9/32"},
		{"with ports", "10.1.2.3:4711", []string{"198.51.100.1:80"}, "198.51.100.1/32"},
		{"with brackets", "10.1.2.3:4711", []string{"[2001:db8:1:2::1]"}, "2001:db8:1:2::/64"},
		{"with a zone", "10.1.2.3:4711", []string{"fe80::1%eth0"}, "fe80::/64"},
		{"what is no address", "10.1.2.3:4711", []string{"198.51.100.1, unknown, 10.9.9.9"}, "10.9.9.9/32"},
		{"nothing", "10.1.2.3:4711", []string{""}, "10.1.2.3/32"},
		{"nothing left of a proxy", "10.1.2.3:4711", []string{",10.9.9.9"}, "10.9.9.9/32"},
		{"no peer", "@", nil, "invalid Prefix"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded, "Forwarded": {"for=203.0.113.99"}}}
		if got := door.Network(r); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	for _, list := range []string{"proxy", "10.0.0.0/33", "10.0.0.0/8 192.0.2.7", "10.0.0.1:80"} {
		if _, err := edge.ParseProxies(list); err == nil || !strings.Contains(err.Error(), "is no network") {
			t.Errorf("%s: %v", list, err)
		}
	}
}
