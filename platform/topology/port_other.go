//go:build !linux

package topology

import (
	"net"
	"testing"
)

// Reserve returns an address of this machine that was free a moment ago. Another program may take it before the test's does; the
// program then says so and ends.
func Reserve(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
