//go:build !linux

package topology

import "syscall"

// attributes are none: only Linux can end a process with the one that has started it.
func attributes() *syscall.SysProcAttr { return nil }
