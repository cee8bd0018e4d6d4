package load

import (
	"context"
	"sync"
	"time"

	"connectrpc.com/connect"
)

// record is what has been measured. It is bounded: by the methods of the contracts, the errands and the codes.
type record struct {
	mu       sync.Mutex
	methods  map[string]*line
	visits   map[errand]*line
	all      line // All visits.
	settled  line // From the moment an order was to be placed until it had settled.
	late     Histogram
	outcomes map[string]int64 // Of orders, by state and reason.

	arrivals, dropped, underWay, requests int64
}

// line is a row of the report. What fails has no duration: a refusal is quick, and would make the rest look better.
type line struct {
	Histogram
	errors map[connect.Code]int64
}

func (l *line) note(d time.Duration, err error) {
	if err == nil {
		l.add(d)
		return
	}
	if l.errors == nil {
		l.errors = map[connect.Code]int64{}
	}
	l.errors[connect.CodeOf(err)]++
}

func (l *line) failed() (n int64) {
	for _, count := range l.errors {
		n += count
	}
	return n
}

func newRecord() *record {
	return &record{methods: map[string]*line{}, visits: map[errand]*line{}, outcomes: map[string]int64{}}
}

func (r *record) method(procedure string, d time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.methods[procedure] == nil {
		r.methods[procedure] = &line{}
	}
	r.methods[procedure].note(d, err)
	r.requests++
}

func (r *record) arrive(late time.Duration, room bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrivals++
	if !room {
		r.dropped++
		return
	}
	r.underWay++
	r.late.add(late)
}

func (r *record) leave(e errand, d time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underWay--
	if r.visits[e] == nil {
		r.visits[e] = &line{}
	}
	r.visits[e].note(d, err)
	r.all.note(d, err)
}

// order notes what became of an order, and how long that took.
func (r *record) order(outcome string, d time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled.note(d, err)
	if err == nil {
		r.outcomes[outcome]++
	}
}

// due is when the next call of a visit is to be made: the first one when its customer arrives, another one when the one before it has
// been answered. Latency counts from there, so that what keeps a customer waiting before the call is sent is part of it.
type due struct{ at time.Time }

type dueKey struct{}

// measure is an interceptor of clients that notes the calls of visits. Of a stream it only notes that there was one: how long it lasts
// says nothing of the shop.
type measure struct{ record *record }

func (m measure) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		d, visit := ctx.Value(dueKey{}).(*due)
		response, err := next(ctx, request)
		if visit {
			now := time.Now()
			m.record.method(request.Spec().Procedure, now.Sub(d.at), err)
			d.at = now
		}
		return response, err
	}
}

func (m measure) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		m.record.mu.Lock()
		m.record.requests++
		m.record.mu.Unlock()
		return next(ctx, spec)
	}
}

func (m measure) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
