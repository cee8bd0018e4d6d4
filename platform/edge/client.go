package edge

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// client is whose requests are counted together: a subject that has signed in, or else a network. The zero value is shared by all for
// whom there is nothing better.
type client struct {
	subject string
	network netip.Prefix
}

// proxies are the networks whose word is taken for whom they pass on.
type proxies []netip.Prefix

// ParseProxies reads a list of networks or addresses, separated by commas.
func ParseProxies(list string) ([]netip.Prefix, error) {
	var parsed []netip.Prefix
	for _, text := range split(list) {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, addrErr := netip.ParseAddr(text)
			if addrErr != nil {
				return nil, fmt.Errorf("%q is no network like 10.0.0.0/8 and no address", text)
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		parsed = append(parsed, prefix.Masked())
	}
	return parsed, nil
}

func (p proxies) contain(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// addressOf returns the address in "address:port", which may also stand alone as proxies write it. It is not valid if there is none.
func addressOf(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if pair, err := netip.ParseAddrPort(text); err == nil {
		return pair.Addr().Unmap().WithZone("")
	}
	addr, _ := netip.ParseAddr(strings.Trim(text, "[]"))
	return addr.Unmap().WithZone("")
}

// networkOf returns what one client is taken to have of the addresses: the whole of an IPv4 address, and 64 bits of IPv6, of which a
// household has that many.
func networkOf(addr netip.Addr) netip.Prefix {
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // Not valid if the address is not.
	return prefix
}

// network returns where a request comes from: from the peer, or if that is a trusted proxy, from the right-most address of
// X-Forwarded-For that is none. What stands left of it anybody may have written. Forwarded is not read: a proxy that sets one of the two
// leaves the other as the client sent it.
func (e *Edge) network(r *http.Request) netip.Prefix {
	addr := addressOf(r.RemoteAddr)
	if !e.proxies.contain(addr) {
		return networkOf(addr)
	}
	chain := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for chain != "" {
		at := strings.LastIndexByte(chain, ',')
		before := addressOf(chain[at+1:])
		if !before.IsValid() {
			break // The last one that is known answers for it.
		}
		if addr = before; !e.proxies.contain(addr) {
			break
		}
		chain = chain[:max(at, 0)]
	}
	return networkOf(addr)
}

// split returns the parts of a list that are separated by commas.
func split(list string) []string {
	var parts []string
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
