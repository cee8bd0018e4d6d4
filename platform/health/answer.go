package health

import (
	"context"
	"sync"
	"time"
)

// Answer is the answer to a question that costs something. Whoever wants it gets one that is fresh, and if there is none, all who want
// it wait for one and the same.
type Answer[T any] struct {
	fresh, limit time.Duration
	ask          func(context.Context) T

	mu     sync.Mutex
	asking chan struct{} // Closed when there is an answer; nil if nobody asks.
	at     time.Time     // Of the latest answer.
	latest T
}

// NewAnswer returns an answer that is asked for when somebody wants it and it is older than fresh. What asks gets a context that ends after
// limit, and must return then.
func NewAnswer[T any](fresh, limit time.Duration, ask func(context.Context) T) *Answer[T] {
	return &Answer[T]{fresh: fresh, limit: limit, ask: ask}
}

// Get returns the answer, and false if ctx ends before there is one.
func (a *Answer[T]) Get(ctx context.Context) (T, bool) {
	a.mu.Lock()
	if a.asking == nil && (a.at.IsZero() || time.Since(a.at) >= a.fresh) {
		a.asking = make(chan struct{})
		go a.renew(a.asking)
	}
	asking := a.asking
	a.mu.Unlock()
	if asking != nil {
		select {
		case <-asking:
		case <-ctx.Done():
			var none T
			return none, false
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.latest, true
}

func (a *Answer[T]) renew(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), a.limit)
	defer cancel()
	answer := a.ask(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.latest, a.at, a.asking = answer, time.Now(), nil
	close(done)
}
