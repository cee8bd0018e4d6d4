package edge

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
)

// maxBody is the largest body of a request, before it is decompressed; the module limits what comes of it.
const maxBody = 1 << 20

// limits are what a request, a client and this process may take. They are no settings; tests make them smaller.
type limits struct {
	// What one request may take, whatever its client asks for.
	HeaderLines, HeaderBytes int
	Arrival                  time.Duration // Until the body is there.
	Call, Stream             time.Duration // Until the answer is.
	Item                     time.Duration // Until the client has taken an item of a stream.

	// What there may be at once: for one client, who is told to wait for its own, and in this process, where another replica may have room.
	ClientCalls, ClientStreams, ClientConnections int
	Requests, Streams, Connections                int
	HeldBytes                                     int64 // Of all bodies.

	SessionFresh time.Duration // For how long what is known of who is signed in at a browser is believed,
	SessionWait  time.Duration // and waited for.
}

func standard() limits {
	return limits{
		HeaderLines: 100, HeaderBytes: 16 << 10,
		Arrival: 15 * time.Second, Call: 30 * time.Second, Stream: 15 * time.Minute, Item: 10 * time.Second,
		ClientCalls: 512, ClientStreams: 100, ClientConnections: 1024,
		Requests: 4096, Streams: 2048, Connections: 8192, HeldBytes: 256 << 20,
		SessionFresh: 5 * time.Second, SessionWait: 3 * time.Second,
	}
}

// busy refuses what this process cannot take at the moment. It is unavailable and not resource_exhausted, because the client has done
// nothing wrong and another replica may well answer.
func busy() *refusal {
	return &refusal{code: connect.CodeUnavailable, status: http.StatusServiceUnavailable, after: time.Second, why: "too much is going on here: call again"}
}

// greedy refuses a client of what it has too many of.
func greedy(what string, most int) *refusal {
	return &refusal{code: connect.CodeResourceExhausted, status: http.StatusTooManyRequests, after: time.Second,
		why: fmt.Sprintf("at most %d %s at once: wait for one to end", most, what)}
}

// slots count what is going on, of all clients and of each. The zero client has what all have.
type slots struct {
	what      string
	all, each int

	mu       sync.Mutex
	taken    int
	byClient map[client]int
}

func newSlots(what string, all, each int) *slots {
	return &slots{what: what, all: all, each: each, byClient: map[client]int{}}
}

// take takes a slot. What it gives a client is to be given back with release.
func (s *slots) take(c client) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.byClient[c] >= s.each && c != (client{}):
		return greedy(s.what, s.each)
	case s.taken >= s.all:
		return busy()
	}
	s.taken++
	s.byClient[c]++
	return nil
}

func (s *slots) release(c client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.byClient[c]--; s.byClient[c] == 0 {
		delete(s.byClient, c)
	}
}

// Bound sets on the server of the public port what no handler can: how long headers, bodies and answers may take, and what one
// connection may ask for. Streams have times of their own, see [answer]. That a client opens streams only to reset them is bounded by
// net/http itself.
func (e *Edge) Bound(server *http.Server) {
	server.ReadTimeout = e.limits.Arrival
	server.WriteTimeout = e.limits.Call + e.limits.Item
	server.DisableGeneralOptionsHandler = true // OPTIONS * is answered as everything else is.
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: 100,
		SendPingTimeout:      30 * time.Second, // Finds a client that vanished without a word.
		PingTimeout:          10 * time.Second,
		WriteByteTimeout:     e.limits.Item, // And one that takes nothing more.
	}
}

// Listener bounds the connections that a listener accepts, of all clients and of each address but those of the trusted proxies. What is
// too much is closed.
func (e *Edge) Listener(listener net.Listener) net.Listener {
	return &boundListener{Listener: listener, edge: e, open: newSlots("connections", e.limits.Connections, e.limits.ClientConnections)}
}

type boundListener struct {
	net.Listener
	edge *Edge
	open *slots
}

func (l *boundListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		var c client
		if addr := addressOf(conn.RemoteAddr().String()); !l.edge.proxies.contain(addr) {
			c.network = networkOf(addr)
		}
		if refused := l.open.take(c); refused != nil {
			l.edge.refused.count(nil, refused)
			conn.Close()
			continue
		}
		return &boundConn{Conn: conn, release: sync.OnceFunc(func() { l.open.release(c) })}, nil
	}
}

type boundConn struct {
	net.Conn
	release func()
}

func (c *boundConn) Close() error {
	c.release()
	return c.Conn.Close()
}
