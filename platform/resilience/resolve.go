package resilience

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// newResolver returns a resolver that asks the server at an address, or the system's.
func newResolver(server string) *net.Resolver {
	if server == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server)
	}}
}

// place is where a request can go: what is dialled, and what stands in its URL.
type place struct{ dial, host string }

// look returns the places that a URL stands for: of all A and AAAA records of its host, or of what its SRV records name.
func look(ctx context.Context, resolver *net.Resolver, u *url.URL) ([]place, error) {
	host, port := u.Hostname(), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return []place{{net.JoinHostPort(host, port), u.Host}}, nil
	}
	if !strings.HasPrefix(host, "_") {
		return lookHost(ctx, resolver, host, port, u.Host)
	}
	_, records, err := resolver.LookupSRV(ctx, "", "", host)
	if err != nil && len(records) == 0 {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	var places []place
	for _, r := range records {
		target, port := strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port))
		found, err := lookHost(ctx, resolver, r.Target, port, net.JoinHostPort(target, port))
		if err != nil {
			return nil, err
		}
		places = append(places, found...)
	}
	return places, nil
}

func lookHost(ctx context.Context, resolver *net.Resolver, host, port, header string) ([]place, error) {
	found, err := resolver.LookupHost(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	places := make([]place, 0, len(found))
	for _, ip := range found {
		places = append(places, place{net.JoinHostPort(ip, port), header})
	}
	return places, nil
}
