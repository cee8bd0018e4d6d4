//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// fakeInstallation puts a PostgreSQL into PATH whose server is the real one and whose initdb is a shell script.
func fakeInstallation(t *testing.T, initdb string) {
	t.Helper()
	real, err := find(t.Context(), places(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	dir := reachable(t)
	for name, script := range map[string]string{
		"postgres": fmt.Sprintf(`exec %q "$@"`, real.program("postgres")),
		"initdb":   initdb,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// halfway is an initdb that makes a part of the data, starts a child, tells the child's process id through a pipe, and hangs.
// The result returns that id when initdb has got there.
func halfway(t *testing.T) func() int {
	t.Helper()
	dir := reachable(t)
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	fakeInstallation(t, `mkdir "$2/base" && echo 15 > "$2/PG_VERSION" && { sleep 1000 & echo $! > '`+pipe+`'; wait; }`)
	return func() int {
		content, err := os.ReadFile(pipe)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
		if err != nil {
			t.Fatal(err)
		}
		return pid
	}
}

func TestKillDuringInitdb(t *testing.T) {
	dir := folder(t)
	reached := halfway(t)
	a := startApp(t, dir, "")
	child := reached()
	a.kill()
	t.Cleanup(func() { _ = syscall.Kill(child, syscall.SIGKILL) })

	s := start(t, quick(dir))
	query[int64](t, s.URL(), "SELECT 1::bigint")
	if left, err := s.place.unfinished(); err != nil || len(left) > 0 {
		t.Errorf("%v is left of the interrupted initdb (%v)", left, err)
	}
}

func TestCancelDuringInitdb(t *testing.T) {
	dir := folder(t)
	reached := halfway(t)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := Start(ctx, Options{Dir: dir})
		result <- err
	}()
	child := reached()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context was cancelled", err)
	}
	process, err := os.FindProcess(child)
	if err != nil {
		t.Fatal(err)
	}
	<-follow(process, dir).exited // initdb and what it has started are being killed
	start(t, quick(dir))
}

func TestInitdbSaysWhyItFailed(t *testing.T) {
	fakeInstallation(t, `echo "creating template1 database in $2 ... " ; echo "initdb: error: could not do it" >&2; exit 1`)
	dir := folder(t)
	_, err := Start(t.Context(), Options{Dir: dir})
	want := "create a PostgreSQL cluster in " + dir + ": initdb failed (exit status 1): error: could not do it"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestDataWithoutTheirPassword(t *testing.T) {
	t.Parallel()
	o := quick(folder(t))
	s := start(t, o)
	stop(t, s)
	if err := os.Remove(s.place.password()); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), s.place.password()) {
		t.Errorf("got %v, want that the password's file is missing", err)
	}
}
