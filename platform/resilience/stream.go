package resilience

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"connectrpc.com/connect"
)

// WrapStreamingClient gives streams a place of their own and asks the breaker. A stream has no deadline of ours, and is not begun again:
// what its reader has seen only he knows.
func (i *interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		return &stream{StreamingClientConn: next(ctx, spec), ctx: ctx, set: i.set, judge: func(verdict) {}, release: func() {}}
	}
}

// stream is a stream with a place in the bulkhead, which it gives back when it ends, or when its caller does.
type stream struct {
	connect.StreamingClientConn
	ctx     context.Context
	set     *set
	began   time.Time
	refused error
	judge   func(verdict) // What is said first counts: a stream that has brought something was served, however it ends.
	release func()
}

// Send sends the request, which begins the stream.
func (s *stream) Send(m any) error {
	if s.refused = s.set.enter(s.ctx, s.set.streams); s.refused != nil {
		return s.refused
	}
	s.set.budget.earn()
	s.began = time.Now()
	var judged sync.Once
	s.judge = func(v verdict) { judged.Do(func() { s.set.record(s.set.streams, v) }) }
	release := sync.OnceFunc(s.set.streams.release)
	stop := context.AfterFunc(s.ctx, release) // Of a reader who forgets to close it.
	s.release = func() {
		stop()
		release()
	}
	err := s.StreamingClientConn.Send(m)
	if err != nil && !errors.Is(err, io.EOF) { // After io.EOF, Receive tells more.
		s.end(err)
	}
	return err
}

// Receive returns the next item.
func (s *stream) Receive(m any) error {
	if s.refused != nil {
		return s.refused
	}
	err := s.StreamingClientConn.Receive(m)
	if err == nil {
		s.judge(answered)
		return nil
	}
	s.end(err)
	return err
}

// end ends the stream with an error, or io.EOF.
func (s *stream) end(err error) {
	if errors.Is(err, io.EOF) {
		err = nil
	}
	s.judge(judge(s.ctx, err, time.Since(s.began), s.set.network.figures.Patience))
	s.release()
}

// CloseRequest ends the request, if there was one.
func (s *stream) CloseRequest() error {
	if s.refused != nil {
		return nil
	}
	return s.StreamingClientConn.CloseRequest()
}

// CloseResponse ends the stream.
func (s *stream) CloseResponse() error {
	if s.refused != nil {
		return nil
	}
	s.release()
	return s.StreamingClientConn.CloseResponse()
}
