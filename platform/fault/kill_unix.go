//go:build cleave_fault && unix

package fault

import (
	"os"
	"os/signal"
	"syscall"
)

// kill ends the process as kill -9 does: nothing is cleaned up, nothing is said.
func kill() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // The signal is on its way.
}

// pause stops the whole process until it gets SIGCONT. The signal that stops it may come a moment later than the call, so this waits for
// the one that continues it.
func pause() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-continued
}
