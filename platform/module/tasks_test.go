package module

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cleave-go/cleave/platform/rpc"
)

func newTasks() *Tasks { return NewTasks(slog.New(slog.DiscardHandler)) }

// A client that goes away does not stop what it has begun, which is still done in its name.
func TestTaskHasMetadataButNotTheEndOfItsCall(t *testing.T) {
	t.Parallel()
	tasks := newTasks()
	defer tasks.Stop(t.Context())
	type secret struct{}
	call := rpc.WithMetadata(context.WithValue(t.Context(), secret{}, "x"),
		rpc.Metadata{Principal: rpc.Principal{Subject: "usr_a", Roles: []string{"customer"}}, CorrelationID: "c", RequestID: "r"})
	call, cancel := context.WithTimeout(call, time.Hour)
	seen := make(chan context.Context)
	release := make(chan struct{})
	if !tasks.Go(call, func(ctx context.Context) {
		<-release
		seen <- ctx
		<-ctx.Done() // Ends before Stop returns.
	}) {
		t.Fatal("the task did not begin")
	}
	cancel()
	close(release)
	ctx := <-seen
	if ctx.Err() != nil {
		t.Errorf("the task ends with its call: %v", ctx.Err())
	}
	if _, ok := ctx.Deadline(); ok {
		t.Error("the task has the deadline of its call")
	}
	m := rpc.MetadataOf(ctx)
	if m.Principal.Subject != "usr_a" || len(m.Principal.Roles) != 1 || m.CorrelationID != "c" || m.RequestID != "r" {
		t.Errorf("the task has metadata %+v", m)
	}
	if ctx.Value(secret{}) != nil {
		t.Error("the task has other values of its call")
	}
	over, end := context.WithCancel(t.Context())
	end()
	tasks.Stop(over)
}

func TestTasksAreBounded(t *testing.T) {
	t.Parallel()
	tasks := newTasks()
	defer tasks.Stop(t.Context())
	release := make(chan struct{})
	var running sync.WaitGroup
	running.Add(maxTasks)
	for range maxTasks {
		if !tasks.Go(t.Context(), func(context.Context) { <-release; running.Done() }) {
			t.Fatal("a task did not begin though there was a place")
		}
	}
	if tasks.Go(t.Context(), func(context.Context) { t.Error("a task ran without a place") }) {
		t.Error("more tasks began than there are places")
	}
	close(release)
	running.Wait()
	for !tasks.Go(t.Context(), func(context.Context) {}) { // The places are given back a moment later.
		runtime.Gosched()
	}
}

func TestPanicOfTaskIsContained(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	tasks := NewTasks(slog.New(slog.NewTextHandler(&said, nil)))
	for range 2 * maxTasks { // More often than there are places.
		began := make(chan struct{})
		for !tasks.Go(t.Context(), func(context.Context) { close(began); panic("boom") }) {
			runtime.Gosched()
		}
		<-began
	}
	tasks.Stop(t.Context())
	if log := said.String(); strings.Count(log, "task panicked") != 2*maxTasks || !strings.Contains(log, "panic=boom") || !strings.Contains(log, "tasks_test.go") {
		t.Errorf("the log does not tell of the panics and where they were:\n%.500s", log)
	}
}

func TestStopWaitsForTasksAndBeginsNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks := newTasks()
		var finished atomic.Bool
		var failed error
		tasks.Go(t.Context(), func(ctx context.Context) {
			<-time.After(time.Minute) // Takes no time in the bubble.
			failed = ctx.Err()
			finished.Store(true)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		stopped := make(chan struct{})
		go func() {
			tasks.Stop(ctx)
			close(stopped)
		}()
		synctest.Wait()
		if tasks.Go(t.Context(), func(context.Context) { t.Error("a task ran after the stop") }) {
			t.Error("a task began after the stop")
		}
		select {
		case <-stopped:
			t.Error("Stop did not wait")
		default:
		}
		<-stopped
		if !finished.Load() || failed != nil {
			t.Errorf("the task finished: %v, its context: %v", finished.Load(), failed)
		}
	})
}

func TestStopCancelsTasksWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tasks := newTasks()
		var cancelledAfter time.Duration
		var ended atomic.Bool
		began := time.Now()
		tasks.Go(t.Context(), func(ctx context.Context) {
			<-ctx.Done()
			cancelledAfter = time.Since(began)
			<-time.After(time.Second) // It cleans up, and Stop waits for that too.
			ended.Store(true)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tasks.Stop(ctx)
		if cancelledAfter != time.Minute || !ended.Load() {
			t.Errorf("the task was cancelled after %v and had ended: %v", cancelledAfter, ended.Load())
		}
	})
}
