package db

import "context"

// committed is what shall happen after a commit.
type committed struct{ fns []func() }

type committedKey struct{}

// AfterCommit has fn run once, after the transaction of ctx has committed, on the goroutine of [DB.Tx] and before that returns; not at
// all if the transaction rolls back, or if nobody knows whether it has committed. So fn is for hints (wake whoever waits for a row)
// that a sweep makes good: a process that is killed in between never runs it. It must be quick and not block. With a context that
// belongs to no transaction fn runs at once.
func AfterCommit(ctx context.Context, fn func()) {
	if c, ok := ctx.Value(committedKey{}).(*committed); ok {
		c.fns = append(c.fns, fn)
		return
	}
	fn()
}

// run runs the functions in the order in which they came.
func (c *committed) run() {
	for _, fn := range c.fns {
		fn()
	}
}
