package postgres

import (
	"errors"
	"os"
	"syscall"
)

// openLocked opens the file so that nobody else can open or delete it until it is closed, or returns errLocked.
func openLocked(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	const sharingViolation = syscall.Errno(32)
	if errors.Is(err, sharingViolation) {
		return nil, errLocked
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(handle), path), nil
}

// removeLocked lets go of the file before it deletes it, because Windows does not delete an open one.
func removeLocked(file *os.File) error {
	file.Close()
	return os.Remove(file.Name())
}

func unlock(file *os.File) { file.Close() }
