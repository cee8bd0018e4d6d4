package topology

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of this package. It is generous, because a machine may run other tests at the same time.
const patience = 60 * time.Second

// Program is something to run.
type Program struct {
	// Name is what messages call it.
	Name string
	// Binary is a path, most often of [Binaries.Build].
	Binary string
	Args   []string
	// Env is what the program finds set, besides what any program needs of the test's own environment.
	Env map[string]string
	// Dir is its working directory; an empty folder of its own if it is not given.
	Dir string
}

// Process is a program that runs, or did. Its methods may be called concurrently.
type Process struct {
	name           string
	cmd            *exec.Cmd
	stdout, stderr *output
	exited         chan struct{} // Closed when it has.
	asked          atomic.Bool   // To end.
}

// Launch starts a program and returns at once. If it still runs at the end of the test it is killed. If the test has failed by then,
// the test shows what the program said.
func Launch(t testing.TB, p Program) *Process {
	t.Helper()
	if p.Dir == "" {
		p.Dir = t.TempDir()
	}
	started, err := start(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { started.end(t) })
	return started
}

func start(p Program) (*Process, error) {
	started := &Process{name: p.Name, stdout: newOutput(), stderr: newOutput(), exited: make(chan struct{})}
	cmd := exec.Command(p.Binary, p.Args...)
	cmd.Dir, cmd.Env = p.Dir, environment(p.Env)
	cmd.Stdout, cmd.Stderr = started.stdout, started.stderr
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = time.Second // What the program has started itself may hold its outputs open.
	started.cmd = cmd
	began := make(chan error)
	go func() {
		// Linux ends the program with the thread that has started it, so the thread stays for as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		began <- err
		if err == nil {
			_ = cmd.Wait() // How it ended is in cmd.ProcessState.
			close(started.exited)
		}
	}()
	if err := <-began; err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	return started, nil
}

// end kills the process if it still runs, and shows in a failed test what it said.
func (p *Process) end(t testing.TB) {
	p.Kill()
	if t.Failed() {
		t.Logf("%s ended with %s and said:\n%s", p.name, p.cmd.ProcessState, p.last(shownLines))
	}
}

// Run runs a program to its end and returns its exit code. It fails the test if the program does not end.
func Run(t testing.TB, p Program) (r *Process, code int) {
	t.Helper()
	r = Launch(t, p)
	return r, r.Wait(t)
}

// Wait waits until the process has ended by itself, and returns its exit code: -1 if a signal has ended it.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		t.Fatalf("%s has not ended in %v", p.name, patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Signal sends a signal, most often one that asks it to end. A process that has ended does not get it.
func (p *Process) Signal(signal syscall.Signal) {
	p.asked.Store(true)
	_ = p.cmd.Process.Signal(signal)
}

// Stop asks the process to end, and fails the test unless it does so with the exit code 0.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(patience):
		// The Go runtime says what every goroutine waits for, and ends the process.
		p.Signal(syscall.SIGQUIT)
		select {
		case <-p.exited:
		case <-time.After(time.Second):
		}
		p.Kill()
		t.Errorf("%s did not stop in %v", p.name, patience)
		return
	}
	if !p.cmd.ProcessState.Success() {
		t.Errorf("%s was asked to stop and ended with %s:\n%s", p.name, p.cmd.ProcessState, p.last(10))
	}
}

// Kill ends the process without a chance to clean up, and waits until it is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.exited
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Stdout returns what the process has printed.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr returns its log and what it has said of its failure.
func (p *Process) Stderr() string { return p.stderr.String() }

// LastLine returns the last line of its standard error.
func (p *Process) LastLine() string {
	lines := strings.Split(strings.TrimRight(p.Stderr(), "\n"), "\n")
	return lines[len(lines)-1]
}

// Expect waits until the process has said something on its standard error that contains the text, and fails the test if it does not.
func (p *Process) Expect(t testing.TB, text string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		said, more := p.stderr.read()
		if strings.Contains(said, text) {
			return
		}
		select {
		case <-more:
		case <-p.exited:
			if !strings.Contains(p.Stderr(), text) {
				t.Fatalf("%s ended and has not said %q", p.name, text)
			}
			return
		case <-timeout:
			t.Fatalf("%s has not said %q in %v", p.name, text, patience)
		}
	}
}

// last returns the last n lines of each output.
func (p *Process) last(n int) string {
	text := last(p.Stderr(), n)
	if printed := p.Stdout(); printed != "" {
		text = fmt.Sprintf("%s\n%s printed:\n%s", text, p.name, last(printed, n))
	}
	return text
}
