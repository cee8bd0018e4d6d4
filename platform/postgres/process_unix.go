//go:build unix

package postgres

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// stop tells the server to stop, and does not wait.
func (p *process) stop(m mode) error {
	sig := syscall.SIGINT
	if m == immediate {
		sig = syscall.SIGQUIT
	}
	if err := p.handle.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// killGroup ends a program with its children.
func killGroup(cmd *exec.Cmd) error {
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// alive tells whether a process runs. One that has ended but whose parent does not look, as the first process of a
// container often does not, is not alive.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true // a system without /proc
	}
	// The state follows the name, which is in parentheses and may contain some.
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return !bytes.HasPrefix(after, []byte(" Z"))
}

// serves tells whether a process is a server on the data, rather than another program that got the process id later.
func serves(pid int, data string) bool {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	if name, err := os.ReadFile(filepath.Join(proc, "comm")); err == nil {
		// The working folder of a server is its data, also after somebody has renamed a folder above it.
		here, hereErr := os.Stat(filepath.Join(proc, "cwd"))
		there, thereErr := os.Stat(data)
		return strings.HasPrefix(string(name), "postgres") && hereErr == nil && thereErr == nil && os.SameFile(here, there)
	}
	line, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(line), "postgres") && strings.Contains(string(line), data)
}

// disown makes a pid file stale whose process id belongs to another program by now, as it happens after a power cut. The
// server would take that program for another server. It does not when the id is that of its own parent, and then goes on
// to see by the shared memory, which the file names as well, that really nothing of the old server is left. That is why
// the file is not just deleted.
func disown(data string, f pidfile) error {
	f.lines[0] = strconv.Itoa(os.Getpid())
	return os.WriteFile(pidfilePath(data), []byte(strings.Join(f.lines, "\n")), 0o600)
}
