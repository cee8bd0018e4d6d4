package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// adopt returns the server that an earlier process left running on the data, once it accepts connections, or nil when there
// is none. A server that is shutting down, or that nobody can reach any more because the folder of its socket was deleted,
// is waited for until it is gone.
func adopt(ctx context.Context, p place) (*process, endpoint, error) {
	none := endpoint{}
	f, err := readPidfile(p.data())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, none, nil
	}
	if err != nil {
		return nil, none, err
	}
	if !alive(f.pid) {
		return nil, none, nil // the next server sees by itself that the file is stale
	}
	if !serves(f.pid, p.data()) {
		return nil, none, disown(p.data(), f)
	}
	handle, err := os.FindProcess(f.pid)
	if err != nil {
		return nil, none, nil // it has ended since
	}
	password, err := p.readPassword()
	if err != nil {
		return nil, none, err
	}

	proc := follow(handle, p.data())
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		at, known := f.endpoint()
		at.password = password
		if known && f.ready() {
			err := at.ping(ctx)
			if err == nil {
				return proc, at, nil
			}
			if errors.Is(err, errRefused) {
				proc.abandon()
				return nil, none, fmt.Errorf("use the PostgreSQL (pid %d) that already runs on %s: %w", f.pid, p.data(), err)
			}
			if !at.listening() {
				if err := proc.stop(fast); err != nil {
					proc.abandon()
					return nil, none, nil
				}
			}
		}
		select {
		case <-proc.exited:
			return nil, none, nil
		case <-ctx.Done():
			proc.abandon()
			return nil, none, fmt.Errorf("wait for the PostgreSQL (pid %d) that already runs on %s: %w", f.pid, p.data(), ctx.Err())
		case <-tick.C:
		}
		// The server adds to its file while it starts, and deletes it when it ends.
		if again, err := readPidfile(p.data()); err == nil && again.pid == f.pid {
			f = again
		}
	}
}
