package resilience

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Forward returns what the edge hands on requests for services of the peer with: the same policies, in the name of the edge, but for the
// deadline, which the edge has set, and with four times the places: a module that waits for another comes to its own limit first, and says so,
// while there is room for what else it does. A request is made again only if its method is safe, its body can be read again, and the connection
// was lost before an answer came; an answer, whatever it says, is handed on: the edge reads none.
func (p *Peer) Forward(services []*rpc.Service) http.RoundTripper {
	f := &forward{spread: p.spread, methods: map[string]*forwarded{}}
	for _, service := range services {
		s := p.set(rpc.EdgeCaller, service.Name)
		for _, m := range service.Methods {
			to := &forwarded{set: s, places: s.calls, safe: m.Idempotency != connect.IdempotencyUnknown && !m.ServerStream, method: s.methods.get(m.Procedure)}
			if m.ServerStream {
				to.places, to.method = s.streams, nil
			}
			f.methods[m.Procedure] = to
		}
	}
	return f
}

type forward struct {
	spread  *spread
	methods map[string]*forwarded // by procedure
}

// forwarded is a method whose requests are handed on.
type forwarded struct {
	set    *set
	places *places
	safe   bool
	method *method // Nil for a stream, whose duration says nothing.
}

// RoundTrip hands on one request. Its method is one of the services'.
func (f *forward) RoundTrip(r *http.Request) (*http.Response, error) {
	m := f.methods[r.URL.Path]
	m.set.budget.earn()
	began := time.Now()
	response, err := f.attempt(m, r)
	if err != nil && m.repeats(r.Context(), err) {
		if again := afresh(r); again != nil && m.set.mayRepeat() {
			response, err = f.attempt(m, again)
		}
	}
	if m.method != nil {
		m.method.observe(time.Since(began), codeOfResponse(r.Context(), response, err))
	}
	return response, err
}

func (m *forwarded) repeats(ctx context.Context, err error) bool {
	return m.safe && ctx.Err() == nil && !errors.As(err, new(*refused))
}

// attempt makes a request once. The place that it has taken is free again when the answer has been read.
func (f *forward) attempt(m *forwarded, r *http.Request) (*http.Response, error) {
	if err := m.set.enter(r.Context(), m.places); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	began := time.Now()
	response, err := f.spread.RoundTrip(r)
	v := judge(r.Context(), err, time.Since(began), m.set.network.figures.Patience)
	if err == nil && !byModule(response) {
		v = failed
	}
	m.set.record(m.places, v)
	if err != nil {
		m.places.release()
		return nil, err
	}
	response.Body = &body{ReadCloser: response.Body, end: m.places.release}
	return response, nil
}

// byModule reports whether an answer is a module's, and not that of a proxy which does not reach it and says so in a way of its own.
func byModule(response *http.Response) bool {
	switch response.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return strings.HasPrefix(response.Header.Get("Content-Type"), "application/")
	}
	return true
}

// codeOfResponse returns the code of an answer as far as its header tells; 0 if it is none of an error. Connect's status does not tell
// all codes apart.
func codeOfResponse(ctx context.Context, response *http.Response, err error) connect.Code {
	if err != nil {
		return codeOf(ctx, err)
	}
	if status := response.Header.Get("Grpc-Status"); status != "" {
		code, _ := strconv.ParseUint(status, 10, 32)
		return connect.Code(code)
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusNotModified:
		return 0
	case http.StatusBadRequest:
		return connect.CodeInvalidArgument
	case http.StatusUnauthorized:
		return connect.CodeUnauthenticated
	case http.StatusForbidden:
		return connect.CodePermissionDenied
	case http.StatusNotFound:
		return connect.CodeNotFound
	case http.StatusConflict:
		return connect.CodeAborted
	case http.StatusTooManyRequests:
		return connect.CodeResourceExhausted
	case 499: // Nginx's, and Connect's.
		return connect.CodeCanceled
	case http.StatusNotImplemented:
		return connect.CodeUnimplemented
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		return connect.CodeUnavailable
	case http.StatusGatewayTimeout:
		return connect.CodeDeadlineExceeded
	}
	return connect.CodeInternal
}
