package event

import "context"

// IgnoreXmin and SkipInbox plant the known mistakes.
func (e *Events) IgnoreXmin() { e.ignoreXmin = true }
func (e *Events) SkipInbox()  { e.skipInbox = true }

// TakeLease takes the lease of a subscription as a process of its own would that dies then.
func (e *Events) TakeLease(ctx context.Context, subscription int64) (move func(context.Context) error, err error) {
	zombie := &Events{db: e.db, jobs: e.jobs, owner: "zombie"}
	l, at, err := zombie.acquire(ctx, subscription)
	if err != nil || l == nil {
		return nil, err
	}
	return func(ctx context.Context) error { return l.advance(ctx, at, true, nil) }, nil
}

var ErrLost = errLost

// The kind and the attempts of the jobs that deliver refused events again.
const (
	RedeliveryKind     = redeliveryKind
	RedeliveryAttempts = redeliveryAttempts
)
