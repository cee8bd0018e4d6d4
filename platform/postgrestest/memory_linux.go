package postgrestest

import "syscall"

// memory is a file system in memory on usual machines. The throwaway clusters create and delete thousands of small files,
// which takes some disks a second per cluster.
const memory = "/dev/shm"

// roomy tells whether there is room for several clusters with some hundred megabytes each. In a container there often is
// not: the default is 64 MB.
func roomy(dir string) bool {
	var stat syscall.Statfs_t
	const enough = 4 << 30
	return syscall.Statfs(dir, &stat) == nil && stat.Bavail*uint64(stat.Bsize) >= enough
}
