//go:build !linux

package postgrestest

// memory is empty where no file system in memory is usual.
const memory = ""

func roomy(string) bool { return false }
