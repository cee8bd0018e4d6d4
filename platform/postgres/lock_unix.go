//go:build unix

package postgres

import (
	"errors"
	"os"
	"syscall"
)

// openLocked opens the file with an exclusive lock, which children do not inherit since Go opens files close-on-exec. It
// returns errLocked when another process has the lock, and errGone when what it has locked is no longer at path.
func openLocked(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	opened, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(opened, named) {
		file.Close()
		return nil, errGone
	}
	return file, nil
}

// removeLocked deletes the file before it lets go of the lock, so that whoever was waiting to open it sees that it is gone.
func removeLocked(file *os.File) error {
	defer unlock(file)
	return os.Remove(file.Name())
}

// unlock releases the lock explicitly: a child that is being forked at this moment has a copy of the file, and closing ours
// would not release the lock before the child has become another program.
func unlock(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
	file.Close()
}
