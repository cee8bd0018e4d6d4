package topology

import "syscall"

// attributes end the process when the test is killed itself, for instance by the timeout of go test: SIGTERM lets it stop what it has
// started in turn. A process group of its own keeps a Ctrl-C at the terminal for the test.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
