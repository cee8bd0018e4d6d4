package postgres

import (
	"context"
	"os/exec"
	"syscall"
	"time"
)

// stop tells the server to stop, and does not wait. Windows has no signals; pg_ctl knows what the server has instead.
func (p *process) stop(m mode) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	bin, err := find(ctx, places(), nil, 0)
	if err != nil {
		return err
	}
	return command(ctx, nil, bin.program("pg_ctl"), "stop", "-D", p.data, "-m", string(m), "-W").Run()
}

// killGroup ends a program; initdb's children end with it.
func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }

// alive tells whether a process runs.
func alive(pid int) bool {
	handle, err := syscall.OpenProcess(syscall.PROCESS_QUERY_INFORMATION, false, uint32(pid))
	if err != nil {
		return false
	}
	defer syscall.CloseHandle(handle)
	var code uint32
	const stillActive = 259
	return syscall.GetExitCodeProcess(handle, &code) == nil && code == stillActive
}

// serves cannot be told on Windows: whether the process accepts the password on its port has to do.
func serves(pid int, data string) bool { return true }

func disown(data string, f pidfile) error { return nil }
