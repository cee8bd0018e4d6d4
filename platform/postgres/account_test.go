//go:build unix

package postgres

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// asRoot skips a test of what only happens to root, and returns the user that the server then runs as.
func asRoot(t *testing.T) *account {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this process is not root")
	}
	a, err := defaultAccount()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// private returns a folder that only this user can reach, as a checkout in /root is.
func private(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), ".cleave", "postgres")
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestRootDropsItsRights(t *testing.T) {
	t.Parallel()
	a := asRoot(t)
	dir := folder(t)
	s := start(t, quick(dir))
	if s.place.moved() {
		t.Errorf("the data moved to %s, although user %s reaches %s", s.place.home, a.name, dir)
	}
	for what, path := range map[string]string{"data": s.place.data(), "password": s.place.password(), "process": "/proc/" + strconv.Itoa(s.PID())} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if owner(info) != a.uid {
			t.Errorf("the %s belongs to user %d, want %s (%d)", what, owner(info), a.name, a.uid)
		}
	}
}

func TestDataMoveWhereTheServersUserReachesThem(t *testing.T) {
	t.Parallel()
	a := asRoot(t)
	dir := private(t)
	var out bytes.Buffer
	o := quick(dir)
	o.Logger = slog.New(slog.NewTextHandler(&out, nil))
	s := start(t, o)
	home := s.place.home
	if !strings.HasPrefix(home, "/var/lib/cleave/") || !strings.Contains(out.String(), "user="+a.name+" data="+home) {
		t.Errorf("the data are in %s, and the log says:\n%s", home, out.String())
	}
	query[int64](t, s.URL(), "WITH x AS (SELECT lo_create(4711)) SELECT count(*) FROM x")
	if _, err := Start(t.Context(), o); !errors.Is(err, ErrInUse) {
		t.Errorf("a second start gives %v, want ErrInUse", err)
	}
	stop(t, s)

	// The folders become reachable: the data stay where they are.
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(filepath.Dir(dir))), 0o755); err != nil {
		t.Fatal(err)
	}
	again := start(t, o)
	if again.place.home != home {
		t.Errorf("after a restart the data are in %s, want %s", again.place.home, home)
	}
	if found := query[bool](t, again.URL(), "SELECT EXISTS (SELECT FROM pg_largeobject_metadata WHERE oid = 4711)"); !found {
		t.Error("what was written before the restart is gone")
	}
	stop(t, again)

	if err := Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(home); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Remove left %s: %v", home, err)
	}
}

func TestDataThatBecameUnreachableAreNotForgotten(t *testing.T) {
	t.Parallel()
	a := asRoot(t)
	dir := folder(t)
	stop(t, start(t, quick(dir)))
	parent := filepath.Dir(dir)
	if err := os.Chmod(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), quick(dir))
	if err == nil || !strings.Contains(err.Error(), "user "+a.name) || !strings.Contains(err.Error(), "cannot reach the data in "+dir) {
		t.Errorf("got %v, want that the data cannot be reached", err)
	}
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestDataOfADeveloperStayTheirs(t *testing.T) {
	t.Parallel()
	asRoot(t)
	dir := folder(t)
	first := start(t, quick(dir))
	data := first.place.data()
	stop(t, first)
	// As if a user other than the default had made the data.
	const uid = 54321
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}

	start(t, quick(dir))
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	if owner(info) != uid {
		t.Errorf("the data belong to user %d after a start by root, want %d as before", owner(info), uid)
	}
}

func TestReaches(t *testing.T) {
	t.Parallel()
	a := &account{name: "somebody", uid: 54321, gid: 54321}
	parent := t.TempDir()
	path := filepath.Join(parent, "x")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	top := filepath.Dir(parent)
	for _, c := range []struct {
		mode os.FileMode
		want bool
	}{{0o700, false}, {0o710, false}, {0o701, true}, {0o755, true}} {
		if err := os.Chmod(top, c.mode); err != nil {
			t.Fatal(err)
		}
		if got := a.reaches(path); got != c.want {
			t.Errorf("below a folder with mode %v: %v, want %v", c.mode, got, c.want)
		}
	}
	var same *account
	if !same.reaches(path) {
		t.Error("the user of this process does not reach its folder")
	}
}

// other starts a program that is no server, as the user that servers run as.
func other(t *testing.T) int {
	t.Helper()
	a, err := defaultAccount()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	cmd.SysProcAttr = a.attributes()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}
