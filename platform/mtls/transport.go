package mtls

import (
	"net/http"
	"sync"
	"time"
)

// maxAge is for how long a [Transport] uses a connection for new requests: a peer's certificate is looked at when a connection is made.
const maxAge = 5 * time.Minute

// Transport calls units over connections that are never old. After some minutes, and when the certificate or the authorities have changed,
// it makes new ones; requests that are under way on the old ones end there.
type Transport struct {
	source *Source
	accept func(ID) error
	base   func() *http.Transport

	mu      sync.Mutex
	current *http.Transport
	using   *material
	born    time.Time
}

// Transport returns a transport that calls only units that accept agrees with, over connections of transports that base makes. These must
// close connections that have been idle for a while.
func (s *Source) Transport(base func() *http.Transport, accept func(ID) error) *Transport {
	return &Transport{source: s, accept: accept, base: base}
}

// RoundTrip makes one request.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.fresh().RoundTrip(r) }

// CloseIdleConnections closes what no request uses.
func (t *Transport) CloseIdleConnections() { t.fresh().CloseIdleConnections() }

// fresh returns a transport whose connections are as young as they must be.
func (t *Transport) fresh() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, m := t.source.now(), t.source.current.Load()
	if t.current != nil && t.using == m && now.Sub(t.born) < maxAge {
		return t.current
	}
	if t.current != nil {
		// Those in use close when they have been idle for a while.
		t.current.CloseIdleConnections()
	}
	t.current = t.base()
	t.current.TLSClientConfig = t.source.clientConfig(t.accept)
	t.using, t.born = m, now
	return t.current
}
