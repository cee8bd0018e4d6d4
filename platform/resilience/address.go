package resilience

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// address is one place of a peer, with connections of its own.
type address struct {
	place
	url       string // For people.
	transport http.RoundTripper
	figures   *figures

	inFlight atomic.Int64
	gone     atomic.Bool  // Its name does not lead to it any more.
	failures atomic.Int32 // In a row, of connections.
	strikes  atomic.Int32 // In a row, of answers.
	aside    atomic.Int64 // Until when it is set aside, in Unix nanoseconds; 0 if it is not.
}

// dialError is that no connection was made, so that no request was sent.
type dialError struct{ error }

func (d *dialError) Unwrap() error { return d.error }

func newAddress(p place, scheme string, f *figures, transport Transport) *address {
	a := &address{place: p, url: scheme + "://" + p.dial, figures: f}
	dialer := &net.Dialer{Timeout: f.Dial, KeepAlive: 30 * time.Second}
	a.transport = transport(func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, p.dial)
		if err != nil {
			return nil, &dialError{err}
		}
		return conn, nil
	})
	return a
}

// up reports whether the address has not failed a moment ago.
func (a *address) up() bool { return a.aside.Load() == 0 }

// probe reports whether a request may go to an address that was set aside, to see: one, when its time is over.
func (a *address) probe(now time.Time) bool {
	until := a.aside.Load()
	return until <= now.UnixNano() && a.aside.CompareAndSwap(until, now.Add(a.figures.Aside).UnixNano())
}

// try makes a request at the address.
func (a *address) try(r *http.Request) (*http.Response, error) {
	if r.URL.Host != a.host {
		there, url := *r, *r.URL
		url.Host = a.host
		there.URL, there.Host = &url, a.host
		r = &there
	}
	a.inFlight.Add(1)
	began := time.Now()
	response, err := a.transport.RoundTrip(r)
	switch {
	case err == nil:
		a.answered(byModule(response))
		response.Body = &body{ReadCloser: response.Body, end: a.end}
		return response, nil
	case r.Context().Err() == nil:
		a.failed()
	case time.Since(began) >= a.figures.Patience && errors.Is(r.Context().Err(), context.DeadlineExceeded):
		a.struck()
	}
	a.end()
	return nil, err
}

// answered notes that the address is well; or if what it said is that it is not, that it may not be.
func (a *address) answered(well bool) {
	if !well {
		a.struck()
		return
	}
	a.failures.Store(0)
	a.strikes.Store(0)
	a.aside.Store(0)
}

// struck notes an answer that says, or lets guess, that the address is not well.
func (a *address) struck() {
	if a.strikes.Add(1) >= a.figures.Strikes {
		a.failed()
	}
}

// failed sets the address aside.
func (a *address) failed() {
	pause := a.figures.Aside
	for range min(a.failures.Add(1)-1, 10) {
		pause *= 2
	}
	a.aside.Store(time.Now().Add(min(pause, a.figures.MaxAside)).UnixNano())
}

// end notes that a request to the address is over. What its name has left is closed after its last one.
func (a *address) end() {
	if a.inFlight.Add(-1) == 0 && a.gone.Load() {
		a.close()
	}
}

// leave has the address end when its last request does.
func (a *address) leave() {
	a.gone.Store(true)
	if a.inFlight.Load() == 0 {
		a.close()
	}
}

func (a *address) close() {
	if t, ok := a.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
