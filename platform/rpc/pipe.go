package rpc

import (
	"bytes"
	"io"
	"sync"
)

// memoryWindow is how many bytes a memoryPipe holds before its writer waits. A network holds some too: a callee that sends a few
// items is done although its caller has not read them yet.
const memoryWindow = 64 << 10

// memoryPipe is a one-way stream of bytes in memory, with a window.
type memoryPipe struct {
	mu      sync.Mutex
	changed sync.Cond
	held    bytes.Buffer
	ended   error // What the reader gets after what is held.
	broken  error // What both sides get at once.
}

func newMemoryPipe() *memoryPipe {
	p := &memoryPipe{}
	p.changed.L = &p.mu
	return p
}

// Read waits for bytes, or for the end.
func (p *memoryPipe) Read(into []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.broken == nil && p.held.Len() == 0 && p.ended == nil {
		p.changed.Wait()
	}
	switch {
	case p.broken != nil:
		return 0, p.broken
	case p.held.Len() == 0:
		return 0, p.ended
	}
	p.changed.Broadcast()
	return p.held.Read(into)
}

// Write waits until there is room, and takes all of the bytes then.
func (p *memoryPipe) Write(from []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.broken == nil && p.held.Len() >= memoryWindow {
		p.changed.Wait()
	}
	if p.broken != nil {
		return 0, p.broken
	}
	p.changed.Broadcast()
	return p.held.Write(from)
}

// end tells the reader that nothing follows, and why if that is an error.
func (p *memoryPipe) end(err error) {
	if err == nil {
		err = io.EOF
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = err
	p.changed.Broadcast()
}

// cut makes both sides fail at once.
func (p *memoryPipe) cut(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.broken == nil {
		p.broken = err
	}
	p.changed.Broadcast()
}
