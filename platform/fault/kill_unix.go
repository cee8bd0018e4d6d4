//go:build cleave_fault && unix

package fault

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// kill ends the process as kill -9 does: nothing is cleaned up, nothing is said.
func kill() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // The signal is on its way.
}

// pause stops the whole process for a while. A helper process continues it, because nothing in it can.
func pause(d time.Duration) {
	pid := strconv.Itoa(os.Getpid())
	wake := exec.Command("sh", "-c", "sleep "+strconv.FormatFloat(d.Seconds(), 'f', 3, 64)+"; kill -CONT "+pid)
	if err := wake.Start(); err != nil {
		panic(err)
	}
	syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	wake.Wait()
}
