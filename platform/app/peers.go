package app

import (
	"context"
	"net/http"
	neturl "net/url"
	"slices"
	"strings"
	"time"

	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/resilience"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The settings that say how other units are called.
const (
	peerPattern = "CLEAVE_PEER_URL"
	peerDNS     = "CLEAVE_PEER_DNS"
	callTimeout = "CLEAVE_CALL_TIMEOUT"
	callsAtOnce = "CLEAVE_CALLS_AT_ONCE"
)

func peerSettings() []config.Setting {
	return []config.Setting{
		{Name: peerPattern, Default: "http://{module}:9080", Help: "internal port of the modules that have no URL of their own; https where " + tlsCert + " is set", Check: isPeerURL},
		{Name: peerDNS, Help: "address of the DNS server that knows the names of modules, 127.0.0.1:8600 for Consul; the system's if it is not set", Check: config.IsAddr},
		{Name: callTimeout, Default: "10s", Help: "how long a call of another unit may take whose caller has set no end", Check: config.IsDuration},
		{Name: callsAtOnce, Default: "256", Help: "calls of one service that a module may have under way in other units", Check: config.IsInt(1, 100_000)},
	}
}

// isPeerURL takes URLs in which {module} stands for the name of a module.
func isPeerURL(value string) error { return isURLs(strings.ReplaceAll(value, "{module}", "module")) }

func isURLs(value string) error {
	_, err := resilience.ParseURLs(value)
	return err
}

// openNetwork makes what other units are called with.
func (u *unit) openNetwork() error {
	c := resilience.Config{Log: u.log, Metrics: u.metrics}
	if u.remote(u.house) { // The settings are there.
		c.Timeout, c.Calls, c.DNS = u.values.Duration(callTimeout), u.values.Int(callsAtOnce), u.values.String(peerDNS)
	}
	var err error
	if u.network, err = resilience.New(c); err != nil {
		return err
	}
	u.onStop(func(context.Context) { u.network.Close() })
	local := u.local()
	u.remotes = map[string]*resilience.Peer{}
	for _, name := range u.neighbours(u.house) {
		if !local[name] {
			if u.remotes[name], err = u.peer(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// peer returns a module that is not in this unit.
func (u *unit) peer(name string) (*resilience.Peer, error) {
	urls, err := resilience.ParseURLs(u.peerURL(name)) // Checked by the settings; {module} may still have made a bad one.
	if err != nil {
		return nil, err
	}
	return u.network.Add(name, urls, u.transport(name, urls[0])), nil
}

// peers returns where the modules live that are not in this unit.
func (u *unit) peers() func(string) rpc.Peer {
	return func(name string) rpc.Peer {
		if peer, ok := u.remotes[name]; ok {
			return rpc.Peer{URL: peer.URL(), Client: &http.Client{Transport: peer.Transport()}, Around: peer.Around}
		}
		return rpc.Peer{Client: http.DefaultClient} // Of a call that is not declared, which stops the start.
	}
}

// peerURL returns where a module lives that is not in this unit: a URL, or several.
func (u *unit) peerURL(name string) string {
	urls := u.values.String(moduleSetting(name, "URL"))
	if urls == "" {
		urls = strings.ReplaceAll(u.values.String(peerPattern), "{module}", name)
		if u.certificates.units != nil && !u.values.IsSet(peerPattern) {
			urls = "https" + strings.TrimPrefix(urls, "http")
		}
	}
	return strings.TrimSuffix(urls, "/")
}

// newTransport returns a transport for the internal port of another unit: HTTP/2, with and without TLS.
func newTransport(dial resilience.Dial) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols:   protocols,
		DialContext: dial,
		HTTP2: &http.HTTP2Config{
			// Finds a peer that vanished without a word, while the deadlines of most calls have not passed.
			SendPingTimeout: 5 * time.Second,
			PingTimeout:     5 * time.Second,
		},
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // What a client does not want compressed is not, on the way to the edge either.
		TLSHandshakeTimeout: 5 * time.Second,
	}
}

// forward returns a handler that leads to a module in another unit.
func (u *unit) forward(name string) http.Handler {
	peer := u.remotes[name]
	target, _ := neturl.Parse(peer.URL()) // It was one.
	services := slices.DeleteFunc(slices.Clone(u.Edge), func(s *rpc.Service) bool { return s.Module != name })
	return edge.Forward(name, target, peer.Forward(services), u.log)
}
