package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cleave-go/cleave/platform/postgres"
)

// The names in a home.
const (
	ownedPrefix    = "run-"      // followed by the id of the process that owns the cluster
	templatePrefix = "template-" // followed by the version and the day
)

// homes are the folders that may hold throwaway clusters, the fastest first. Each user has folders of their own.
func homes() []string {
	name := fmt.Sprintf("cleave-postgrestest-%d", os.Getuid())
	temp := os.TempDir()
	if os.Getuid() == 0 {
		temp = "/tmp" // TMPDIR of root may be closed to the user that the server runs as
	}
	parents := []string{temp}
	if memory != "" {
		parents = []string{memory, temp}
	}
	var homes []string
	for _, parent := range parents {
		homes = append(homes, filepath.Join(parent, name))
	}
	return homes
}

// scratch returns the folder for new throwaway clusters and makes it when it is missing.
func scratch() (string, error) {
	all := homes()
	home := all[len(all)-1]
	if roomy(memory) {
		home = all[0]
	}
	err := os.Mkdir(home, 0o755)
	if err != nil && !os.IsExist(err) {
		return "", err
	}
	if err := passable(home); err != nil {
		return "", fmt.Errorf("%w; if the folder is not yours, remove it", err)
	}
	return home, nil
}

// passable lets the user that the server runs as pass through, whatever the umask. It fails for the folder of another user.
func passable(dir string) error { return os.Chmod(dir, 0o755) }

// sweepOnce removes what dead processes have left, once per process.
var sweepOnce = func() func(context.Context) error {
	var once sync.Once
	var err error
	return func(ctx context.Context) error {
		once.Do(func() {
			for _, home := range homes() {
				err = errors.Join(err, sweep(ctx, home))
			}
		})
		return err
	}
}()

// sweep removes the clusters whose process is dead, and the templates of earlier days.
func sweep(ctx context.Context, home string) error {
	entries, err := os.ReadDir(home)
	if os.IsNotExist(err) {
		return nil
	}
	var errs error
	for _, entry := range entries {
		path := filepath.Join(home, entry.Name())
		if owned, ok := strings.CutPrefix(entry.Name(), ownedPrefix); ok {
			number, _, _ := strings.Cut(owned, "-")
			pid, err := strconv.Atoi(number)
			if err != nil || runs(pid) {
				continue
			}
		} else if strings.HasPrefix(entry.Name(), templatePrefix) {
			info, err := entry.Info()
			if err != nil || time.Since(info.ModTime()) < 2*24*time.Hour {
				continue // somebody may be copying yesterday's
			}
		} else {
			continue
		}
		// In use is what another process just sweeps as well.
		if err := postgres.Remove(ctx, path); err != nil && !errors.Is(err, postgres.ErrInUse) {
			errs = errors.Join(errs, err)
		}
	}
	return errors.Join(err, errs)
}

// runs tells whether a process is alive; when in doubt it is.
func runs(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer process.Release()
	return !errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
