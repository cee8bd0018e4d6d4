package resilience

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Dial makes a connection, as that of [http.Transport].
type Dial = func(ctx context.Context, network, address string) (net.Conn, error)

// Transport makes what one address is called with: all its connections are dialled with dial.
type Transport func(dial Dial) http.RoundTripper

// Peer is a module in other units, at all the addresses where it is.
type Peer struct {
	module  string
	network *Network
	spread  *spread
}

// Add adds a module that lives at URLs which [ParseURLs] has taken.
func (n *Network) Add(module string, urls []*url.URL, transport Transport) *Peer {
	p := &Peer{module: module, network: n, spread: newSpread(n, urls, transport)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers = append(n.peers, p)
	return p
}

// URL returns the base of the URLs that the peer is called at. Which of its addresses a request goes to its transport decides.
func (p *Peer) URL() string { return p.spread.names.urls[0].String() }

// Transport returns what requests to the peer are made with.
func (p *Peer) Transport() http.RoundTripper { return p.spread }

// ParseURLs reads where a module lives: a URL, or several that are separated by commas and have the same scheme. A host that begins with
// an underscore is the name of SRV records, as in http://_orders._tcp.service.consul.
func ParseURLs(list string) ([]*url.URL, error) {
	var urls []*url.URL
	for text := range strings.SplitSeq(list, ",") {
		text = strings.TrimSuffix(strings.TrimSpace(text), "/")
		u, err := url.Parse(text)
		switch {
		case err != nil || !strings.HasPrefix(text, u.Scheme+"://") || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "":
			return nil, errors.New("is not a URL that begins with http:// or https:// and ends with the host, nor a list of such")
		case len(urls) > 0 && u.Scheme != urls[0].Scheme:
			return nil, errors.New("has URLs of both http and https")
		}
		urls = append(urls, u)
	}
	return urls, nil
}
