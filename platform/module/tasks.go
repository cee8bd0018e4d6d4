package module

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
)

// maxTasks bounds how many tasks of a module run at once. What does not get a place is left to the module's jobs.
const maxTasks = 256

// Tasks runs what goes on after a method has answered: the steps of a checkout, for instance. A task is lost when the process is
// killed, so whoever begins one also owes a job that picks the work up.
type Tasks struct {
	log    *slog.Logger
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
	places  chan struct{}
}

// NewTasks returns an empty set of tasks.
func NewTasks(log *slog.Logger) *Tasks {
	ctx, cancel := context.WithCancel(context.Background())
	return &Tasks{log: log, ctx: ctx, cancel: cancel, places: make(chan struct{}, maxTasks)}
}

// Go runs fn on a goroutine of its own with the metadata of ctx but not its end: a client that goes away does not stop it. It
// reports whether it began: not if too many run or the process stops.
func (t *Tasks) Go(ctx context.Context, fn func(context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	select {
	case t.places <- struct{}{}:
	default:
		return false
	}
	t.running.Add(1)
	ctx = background(t.ctx, ctx)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				t.log.ErrorContext(ctx, "task panicked", "panic", p, "stack", string(debug.Stack()))
			}
			<-t.places
			t.running.Done()
		}()
		fn(ctx)
	}()
	return true
}

// Running returns how many tasks run.
func (t *Tasks) Running() int { return len(t.places) }

// Stop begins no more tasks and waits for those that run. When ctx is done it cancels them, and waits until they have ended.
func (t *Tasks) Stop(ctx context.Context) {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	done := make(chan struct{})
	go func() {
		t.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		t.cancel()
		<-done
	}
	t.cancel()
}
