//go:build unix

package postgres

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// launch starts a server as a child of this process and waits until it accepts connections.
func launch(ctx context.Context, p place, bin binaries, settings map[string]string) (*process, endpoint, error) {
	at := endpoint{host: p.socketDir(), port: "5432"}
	var err error
	if at.password, err = p.readPassword(); err != nil {
		return nil, at, err
	}
	if err := p.makeSocketDir(); err != nil {
		return nil, at, err
	}
	log, err := p.openLog()
	if err != nil {
		return nil, at, explain(err)
	}
	defer log.Close()
	before, err := log.Stat()
	if err != nil {
		return nil, at, err
	}

	args := arguments(map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": at.host,
		"unix_socket_permissions": "0700",
		"port":                    at.port,
	}, settings)
	// Not bound to ctx, because it outlives the start. It writes to the log itself rather than through a pipe, because it
	// may outlive this process as well.
	cmd := exec.Command(bin.program("postgres"), append([]string{"-D", p.data()}, args...)...)
	prepareCommand(cmd, p.account)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, at, err
	}
	proc := &process{pid: cmd.Process.Pid, handle: cmd.Process, data: p.data(), exited: make(chan struct{})}
	go func() {
		if err := cmd.Wait(); err != nil {
			proc.state = err.Error()
		}
		close(proc.exited)
	}()

	up, err := at.await(ctx, proc)
	if up {
		return proc, at, nil
	}
	if err != nil {
		proc.kill()
		return nil, at, err
	}
	end := lastLines(p.log(), before.Size())
	if strings.Contains(end, "pre-existing shared memory block") {
		return nil, at, fmt.Errorf("%w (%s); %s", errOrphans, proc.state, end)
	}
	return nil, at, fmt.Errorf("it ended at once (%s); %s", proc.state, end)
}
