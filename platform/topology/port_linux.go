package topology

import (
	"fmt"
	"syscall"
	"testing"
)

// Reserve returns an address of this machine that nobody but the test's own processes listens on, until the end of the test.
//
// The test binds a socket to the port and never listens on it. Linux then gives the port to nobody who asks for any, while a
// program that asks for this one, with SO_REUSEADDR as all Go programs do, gets it: also again after a restart.
func Reserve(t testing.TB) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("reserve a port: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatalf("reserve a port: %v", err)
	}
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatalf("reserve a port: %v", err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatalf("reserve a port: %v", err)
	}
	return fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
}
