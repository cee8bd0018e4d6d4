package resilience

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// spread carries requests to all addresses of a peer in equal shares.
type spread struct {
	names *names
	turn  atomic.Uint32
}

func newSpread(n *Network, urls []*url.URL, transport Transport) *spread {
	return &spread{names: &names{network: n, urls: urls, transport: transport}}
}

// RoundTrip makes a request at one of the addresses, and at another if no connection to the first can be made. A request that may have
// arrived is not made again: whether that does harm the caller knows.
func (s *spread) RoundTrip(r *http.Request) (*http.Response, error) {
	addresses, err := s.names.current(r.Context())
	if err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	var tried []*address
	for {
		a := s.pick(addresses, tried)
		response, err := a.try(r)
		if err == nil || r.Context().Err() != nil {
			return response, err
		}
		s.names.renew(time.Second)
		tried = append(tried, a)
		if !errors.As(err, new(*dialError)) || len(tried) == len(addresses) {
			return nil, err
		}
		if r = afresh(r); r == nil {
			return nil, err
		}
	}
}

// pick returns the address whose turn it is, of those that are up and not far behind: so equal ones have equal shares, and a slow one fewer.
// One that was set aside for its time gets one request, and where none is up, the one that was set aside first.
func (s *spread) pick(all, tried []*address) *address {
	var spare *address
	fewest := int64(math.MaxInt64)
	for _, a := range all {
		switch {
		case slices.Contains(tried, a):
		case a.up():
			fewest = min(fewest, a.inFlight.Load())
		case a.probe(time.Now()):
			return a
		case spare == nil || a.aside.Load() < spare.aside.Load():
			spare = a
		}
	}
	if fewest == math.MaxInt64 {
		return spare
	}
	var buffer [16]*address
	eligible := buffer[:0]
	for _, a := range all {
		if a.up() && a.inFlight.Load()-fewest <= s.names.network.figures.Behind && !slices.Contains(tried, a) {
			eligible = append(eligible, a)
		}
	}
	if len(eligible) == 0 { // It has failed this moment.
		return all[int(s.turn.Add(1))%len(all)]
	}
	return eligible[int(s.turn.Add(1))%len(eligible)]
}

// afresh returns the request as it was before it was tried, or nil if its body is gone.
func afresh(r *http.Request) *http.Request {
	again := *r
	if r.Body == nil || r.Body == http.NoBody {
		return &again
	}
	if r.GetBody == nil {
		return nil
	}
	var err error
	if again.Body, err = r.GetBody(); err != nil {
		return nil
	}
	return &again
}

// names are where a peer lives, and the addresses that they have. They are looked up again while they are used, in the background, so that
// a name server that is slow or gone delays nobody: what was known stays.
type names struct {
	network   *Network
	urls      []*url.URL
	transport Transport

	addresses atomic.Pointer[[]*address]
	looked    atomic.Int64 // When the last look-up began, in Unix nanoseconds.

	mu      sync.Mutex
	looking chan struct{} // Closed when the look-up that is under way ends; nil if none is.
	problem error         // Of the last one.
}

// known returns the addresses as they were last looked up.
func (n *names) known() []*address {
	if known := n.addresses.Load(); known != nil {
		return *known
	}
	return nil
}

// current returns the addresses. Only whoever comes first waits for them.
func (n *names) current(ctx context.Context) ([]*address, error) {
	if known := n.known(); len(known) > 0 {
		n.renew(n.network.figures.Lookup)
		return known, nil
	}
	if looking := n.renew(n.network.figures.Backoff); looking != nil {
		select {
		case <-looking:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if known := n.known(); len(known) > 0 {
		return known, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return nil, n.problem
}

// renew looks the names up if that was done longer ago. What it returns is closed when that ends; nil if nothing is looked up.
func (n *names) renew(age time.Duration) <-chan struct{} {
	if looked := n.looked.Load(); looked != 0 && time.Now().UnixNano()-looked < int64(age) && len(n.known()) > 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.looking != nil {
		return n.looking
	}
	if n.problem != nil && time.Now().UnixNano()-n.looked.Load() < int64(age) {
		return nil
	}
	n.looked.Store(time.Now().UnixNano())
	looking := make(chan struct{})
	n.looking = looking
	n.network.work.Go(func() {
		ctx, cancel := context.WithTimeout(n.network.living, n.network.figures.LookupTimeout)
		defer cancel()
		places, err := n.look(ctx)
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.problem = err; err == nil {
			n.change(places)
		}
		n.looking = nil
		close(looking)
	})
	return looking
}

// look returns all that the names stand for. What one of several does not lead to any more is left out, unless none leads anywhere.
func (n *names) look(ctx context.Context) ([]place, error) {
	var all []place
	var problem error
	for _, u := range n.urls {
		found, err := look(ctx, n.network.resolver, u)
		if err != nil {
			problem = err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, problem
	}
	return all[:min(len(all), n.network.figures.Addresses)], nil
}

// change keeps the addresses that are still there, makes those that are new, and lets those end that are gone.
func (n *names) change(places []place) {
	before := n.known()
	after := make([]*address, 0, len(places))
	for _, p := range places {
		same := func(a *address) bool { return a.place == p }
		if slices.ContainsFunc(after, same) {
			continue
		}
		if i := slices.IndexFunc(before, same); i >= 0 {
			after = append(after, before[i])
		} else {
			after = append(after, newAddress(p, n.urls[0].Scheme, &n.network.figures, n.transport))
		}
	}
	n.addresses.Store(&after)
	for _, a := range before {
		if !slices.Contains(after, a) {
			a.leave()
		}
	}
}

// body is that of an answer: when it is closed, the request is over.
type body struct {
	io.ReadCloser
	once sync.Once
	end  func()
}

func (b *body) Close() error {
	b.once.Do(b.end)
	return b.ReadCloser.Close()
}
