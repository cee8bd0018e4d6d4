package resilience

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Config says how a unit calls others.
type Config struct {
	// Timeout is the deadline of calls whose caller has none. Streams need none.
	Timeout time.Duration
	// Calls is how many calls of a service a caller may have under way.
	Calls int
	// DNS is the address of the server that is asked for the names of peers; the system's resolver if it is empty.
	DNS string
	Log *slog.Logger
	// Metrics takes the metrics of the network.
	Metrics prometheus.Registerer
}

// Network is all that a unit calls others with.
type Network struct {
	config   Config
	figures  figures
	resolver *net.Resolver
	metrics  *metrics

	living context.Context // Until the network is closed.
	end    context.CancelFunc
	work   sync.WaitGroup // Look-ups.

	mu    sync.Mutex
	peers []*Peer
	sets  []*set
}

// New returns a network without peers. Its metrics are registered; two networks cannot share a registry.
func New(c Config) (*Network, error) { return newNetwork(c, standard()) }

func newNetwork(c Config, f figures) (*Network, error) {
	n := &Network{config: c, figures: f, resolver: newResolver(c.DNS), metrics: newMetrics()}
	n.living, n.end = context.WithCancel(context.Background())
	if err := n.metrics.register(c.Metrics, n); err != nil {
		return nil, err
	}
	return n, nil
}

// Close ends what the network does by itself, and closes connections that no request uses. No calls may be made any more.
func (n *Network) Close() {
	n.end()
	n.work.Wait()
	_, peers := n.all()
	for _, p := range peers {
		for _, a := range p.spread.names.known() {
			a.leave()
		}
	}
}

// Around returns the interceptor with which a caller's client of a service has the policies. Every client of the two shares them. It is
// for [rpc.Peer].
func (p *Peer) Around(caller string, service *rpc.Service) connect.Interceptor {
	return &interceptor{set: p.set(caller, service.Name)}
}

// set returns the policies of a caller and a service of the peer.
func (p *Peer) set(caller, service string) *set {
	n := p.network
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.sets {
		if s.caller == caller && s.peer == p && s.service == service {
			return s
		}
	}
	s := newSet(n, p, caller, service)
	n.sets = append(n.sets, s)
	return s
}

// all returns the sets and peers that there are.
func (n *Network) all() ([]*set, []*Peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*set(nil), n.sets...), append([]*Peer(nil), n.peers...)
}
