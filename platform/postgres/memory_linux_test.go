package postgres

import (
	"os"
	"syscall"
)

// The tests make some forty clusters of a thousand files each, which takes some disks a second per cluster. So their
// temporary folders are in memory where there is enough of it.
func init() {
	const memory, enough = "/dev/shm", 2 << 30
	var stat syscall.Statfs_t
	if syscall.Statfs(memory, &stat) == nil && stat.Bavail*uint64(stat.Bsize) >= enough {
		os.Setenv("TMPDIR", memory)
	}
}
