package edge

import (
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"
)

// Limits are what tests make smaller.
type Limits = limits

// NewLimited returns an edge with other limits.
func NewLimited(c Config, change func(*Config, *Limits)) *Edge {
	l := standard()
	change(&c, &l)
	return newEdge(c, l)
}

// Network returns where a request comes from.
func (e *Edge) Network(r *http.Request) string { return e.network(r).String() }

// Held returns how many bytes of bodies are held, and Open how many requests are going on.
func (e *Edge) Held() int64 { return e.held.Load() }
func (e *Edge) Open() int64 { return e.requests.Load() }

// Rate is a rate of its own, by the names of its clients.
type Rate struct{ rate *rate }

// NewRate returns a rate.
func NewRate(perSecond int) Rate { return Rate{newRate(perSecond)} }

// Take takes a request.
func (r Rate) Take(name string, now time.Time) (left int, wait time.Duration) {
	return r.rate.take(client{subject: name}, now)
}

// Known returns how many clients it knows.
func (r Rate) Known() int { return len(r.rate.young) + len(r.rate.old) }

// MaxClients is how many a generation knows.
const MaxClients = maxClients

// Complete returns the body of a plain request for a message with the Idempotency-Key.
func Complete(message proto.Message, body, key string) (string, error) {
	b := &restBody{route: &restRoute{fields: message.ProtoReflect().Descriptor().Fields()}, key: key}
	whole, err := b.complete([]byte(body))
	return string(whole), err
}

// MaxSessions is how many browsers a generation knows, and Sessions how many are known.
const MaxSessions = maxSessions

func (e *Edge) Sessions() int {
	e.sessions.mu.Lock()
	defer e.sessions.mu.Unlock()
	return len(e.sessions.young) + len(e.sessions.old)
}
