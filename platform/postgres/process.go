package postgres

import (
	"os"
	"time"
)

// process is a running server, a child of this process or an adopted one.
type process struct {
	pid    int
	handle *os.Process // refers to this process even when its id is used again
	data   string
	exited chan struct{} // closed when the server is gone
	state  string        // how it ended unless it was well, such as "signal: killed"; read after exited

	forget chan struct{} // closed when nobody wants to know any more; for an adopted server
}

// mode is a way to stop a server.
type mode string

const (
	fast      mode = "fast"      // end all connections, flush the data
	immediate mode = "immediate" // as in a power cut; the next start replays the log
)

// follow watches a server that is not a child of this process. Nothing but asking tells of its end, and ten times a second
// is too little to be measured.
func follow(handle *os.Process, data string) *process {
	p := &process{pid: handle.Pid, handle: handle, data: data, exited: make(chan struct{}), forget: make(chan struct{})}
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for alive(p.pid) {
			select {
			case <-tick.C:
			case <-p.forget:
				return
			}
		}
		// A server that was shut down has removed its pid file.
		if f, err := readPidfile(data); err == nil && f.pid == p.pid {
			p.state = "it ended without a shutdown"
		}
		close(p.exited)
	}()
	return p
}

// abandon leaves an adopted server alone.
func (p *process) abandon() { close(p.forget) }

// kill stops a server that nobody has worked with yet, or whose data are to be deleted, and waits until it is gone.
func (p *process) kill() {
	// This fails only for a process that is gone: a server of somebody else is never started or adopted.
	_ = p.stop(immediate)
	<-p.exited
}
