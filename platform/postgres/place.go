package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// place says which files a cluster consists of, and which user they belong to.
type place struct {
	dir     string   // what Options.Dir names; holds the lock
	home    string   // holds everything else; another folder than dir only for root, see locate
	account *account // the user that the server runs as; nil means the user of this process
}

func (p place) moved() bool      { return p.home != p.dir }
func (p place) data() string     { return filepath.Join(p.home, "data") }
func (p place) password() string { return filepath.Join(p.home, "password") }
func (p place) log() string      { return filepath.Join(p.home, "postgres.log") }

// downloads is where binaries go that had to be downloaded. It is beside the home, where the server's user can reach it.
func (p place) downloads() string { return filepath.Join(filepath.Dir(p.home), "postgres-binaries") }

// dataVersion is the content of PG_VERSION, the major version of the PostgreSQL that made the data, or "" when there are no
// data yet.
func dataVersion(home string) (string, error) {
	content, err := os.ReadFile(filepath.Join(home, "data", "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the version of the PostgreSQL data: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// remove deletes all that Start made but the lock.
func (p place) remove() error {
	unfinished, err := p.unfinished()
	if err != nil {
		return err
	}
	// The data go first: a password without data means nothing, data without a password cannot be used.
	paths := append([]string{p.data()}, unfinished...)
	paths = append(paths, p.password(), p.log(), p.socketDir())
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if p.moved() {
		return os.Remove(p.home)
	}
	return nil
}

// unfinished lists the folders of clusters that were being created when their process was killed.
func (p place) unfinished() ([]string, error) {
	entries, err := os.ReadDir(p.home)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), unfinishedPrefix) {
			paths = append(paths, filepath.Join(p.home, entry.Name()))
		}
	}
	return paths, nil
}

// digest is a short name for a path that two paths do not share in practice.
func digest(path string, length int) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:])[:length]
}
