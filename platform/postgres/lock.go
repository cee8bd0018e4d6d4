package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lock is held by the process that uses a cluster. The kernel releases it when the process ends in any way, which is how a
// server left running by a killed process is told from one that is in use.
type lock struct {
	dir  string // absolute and without symbolic links, so that a folder has one name
	file *os.File
}

// What openLocked says besides the errors of the file system.
var (
	errLocked = errors.New("locked by another process")
	errGone   = errors.New("deleted while it was being locked")
)

// acquire creates dir when it is missing and locks it, or fails with ErrInUse without waiting.
func acquire(dir string) (*lock, error) {
	if dir == "" {
		return nil, errors.New("the PostgreSQL cluster has no folder: set Options.Dir")
	}
	for {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("create the folder of the PostgreSQL cluster: %w", err)
		}
		abs, err := filepath.Abs(dir)
		if err == nil {
			abs, err = filepath.EvalSymlinks(abs)
		}
		if err != nil {
			return nil, fmt.Errorf("find the folder of the PostgreSQL cluster: %w", err)
		}
		path := filepath.Join(abs, "lock")
		file, err := openLocked(path)
		if errors.Is(err, errGone) || errors.Is(err, fs.ErrNotExist) {
			continue // a concurrent Remove took the file or its folder away
		}
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("%w: another process%s uses %s; stop it, or set DATABASE_URL or CLEAVE_DATA_DIR",
				ErrInUse, holder(path), abs)
		}
		if err != nil {
			return nil, fmt.Errorf("lock the PostgreSQL cluster, whose folder must be writable for this user: %w", err)
		}
		l := &lock{dir: abs, file: file}
		if err := l.sign(); err != nil {
			l.release()
			return nil, fmt.Errorf("lock the PostgreSQL cluster: %w", err)
		}
		return l, nil
	}
}

// sign leaves the process id for the message that others get.
func (l *lock) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// release lets others use the folder. It may be called more than once.
func (l *lock) release() { unlock(l.file) }

// discard releases the lock and deletes its file, and the folder when nothing else is in it.
func (l *lock) discard() error {
	if err := removeLocked(l.file); err != nil {
		return err
	}
	_ = os.Remove(l.dir) // fails when something is in it that is not ours, which stays
	return nil
}

// holder names the process that has the lock, as far as it can be read.
func holder(path string) string {
	content, err := os.ReadFile(path)
	pid := strings.TrimSpace(string(content))
	if err != nil || pid == "" {
		return ""
	}
	return " (pid " + pid + ")"
}
