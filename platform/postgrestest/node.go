package postgrestest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/postgres"
)

// settings trade everything for speed, and bound the log of changes, which may be in memory.
var settings = map[string]string{
	"fsync":              "off",
	"synchronous_commit": "off",
	"full_page_writes":   "off",
	"max_connections":    "1000",
	"max_wal_size":       "256MB",
	"min_wal_size":       "32MB",
	"jit":                "off",
}

// Server starts a cluster for this test alone, for a module on a server of its own, or a test that stops or kills it. It is
// removed at the end of the test.
func Server(t testing.TB) *postgres.Server {
	t.Helper()
	ctx, cancel := limited()
	defer cancel()
	n, err := startNode(ctx)
	if err != nil {
		t.Fatalf("start a PostgreSQL cluster for the test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := limited()
		defer cancel()
		if err := n.remove(ctx); err != nil {
			t.Errorf("remove the PostgreSQL cluster of the test: %v", err)
		}
	})
	return n.server
}

// node is a throwaway cluster in its folder.
type node struct {
	dir    string
	server *postgres.Server
}

// startNode starts a throwaway cluster, a copy of the machine's template.
func startNode(ctx context.Context) (*node, error) {
	version, err := postgres.Installed(ctx)
	if err != nil {
		return nil, err
	}
	home, err := scratch()
	if err != nil {
		return nil, err
	}
	if err := sweepOnce(ctx); err != nil {
		return nil, fmt.Errorf("remove the clusters that killed tests have left: %w", err)
	}
	template, err := machineTemplate(ctx, home, version)
	if err != nil {
		return nil, err
	}
	return startIn(ctx, home, template)
}

// startIn starts a cluster in a new folder.
func startIn(ctx context.Context, home, template string) (*node, error) {
	dir, err := newFolder(home)
	if err != nil {
		return nil, err
	}
	server, err := postgres.Start(ctx, postgres.Options{Dir: dir, Settings: maps.Clone(settings), Template: template})
	if err != nil {
		return nil, errors.Join(err, postgres.Remove(ctx, dir))
	}
	return &node{dir: dir, server: server}, nil
}

// newFolder makes a folder whose name tells that this process owns it.
func newFolder(home string) (string, error) {
	dir := filepath.Join(home, fmt.Sprintf("%s%d-%s", ownedPrefix, os.Getpid(), rand.Text()[:8]))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	return dir, passable(dir)
}

func (n *node) remove(ctx context.Context) error {
	return errors.Join(n.server.Stop(ctx), postgres.Remove(ctx, n.dir))
}

// machineTemplate returns the folder of a stopped cluster to copy, which the first test of a day on the machine makes:
// initdb takes longer than all the rest. It lasts a day only, because what cleans temporary folders takes single files that
// nobody has read for some days.
func machineTemplate(ctx context.Context, home, version string) (string, error) {
	template := filepath.Join(home, templatePrefix+version+"-"+time.Now().Format("2006-01-02"))
	if _, err := os.Stat(template); err == nil {
		return template, nil
	}
	n, err := startIn(ctx, home, "")
	if err != nil {
		return "", err
	}
	if err := n.server.Stop(ctx); err != nil {
		return "", errors.Join(err, postgres.Remove(ctx, n.dir))
	}
	err = os.Rename(n.dir, template)
	if errors.Is(err, fs.ErrExist) {
		return template, postgres.Remove(ctx, n.dir) // another process was faster
	}
	return template, err
}
