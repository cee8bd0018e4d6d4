//go:build unix

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestDataSurviveRestarts(t *testing.T) {
	// What a developer may have set for other servers has no influence.
	for name, value := range map[string]string{"PGPORT": "1", "PGDATA": "/nowhere", "PGHOST": "nowhere", "PGPASSWORD": "wrong", "LC_ALL": "xx_YY"} {
		t.Setenv(name, value)
	}
	dir := folder(t)
	var out bytes.Buffer
	o := Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&out, nil)), Settings: unsafe}
	first := start(t, o)
	for sql, want := range map[string]string{
		"SELECT current_database()": "cleave",
		"SHOW server_encoding":      "UTF8",
		"SELECT lower('ÄÖÜ')":       "äöü",
		"SHOW wal_level":            "logical",
		"SHOW listen_addresses":     "",
		"SHOW cluster_name":         "cleave",
		"SHOW max_connections":      "200",
		"SHOW fsync":                "off", // from Options.Settings
		"SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules": "scram-sha-256",
	} {
		if got := query[string](t, first.URL(), sql); got != want {
			t.Errorf("%s gives %q, want %q", sql, got, want)
		}
	}
	line := out.String()
	if strings.Count(line, "\n") != 1 || !strings.Contains(line, "level=INFO") || !strings.Contains(line, first.place.data()) ||
		!strings.Contains(line, "version="+query[string](t, first.URL(), "SELECT split_part(current_setting('server_version'), ' ', 1)")) {
		t.Errorf("want one line of log with version and place, got:\n%s", line)
	}
	query[string](t, first.URL(), "SELECT set_config('a.b', 'c', false)")
	query[int64](t, first.URL(), "WITH x AS (SELECT lo_create(4711)) SELECT count(*) FROM x")
	stop(t, first)

	second := start(t, o)
	if found := query[bool](t, second.URL(), "SELECT EXISTS (SELECT FROM pg_largeobject_metadata WHERE oid = 4711)"); !found {
		t.Error("what was written before the restart is gone")
	}
}

func TestPasswordIsNeededAndPrivate(t *testing.T) {
	t.Parallel()
	s := start(t, quick(folder(t)))
	wrong := s.endpoint
	wrong.password = "wrong"
	if err := wrong.ping(t.Context()); !errors.Is(err, errRefused) {
		t.Errorf("a wrong password got %v", err)
	}
	for path, want := range map[string]os.FileMode{s.place.password(): 0o600, s.place.log(): 0o600, s.place.data(): 0o700, s.place.socketDir(): 0o700} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	o := quick(dir)
	start(t, o)
	_, err := Start(t.Context(), o)
	want := fmt.Sprintf("another process (pid %d) uses %s; stop it, or set DATABASE_URL or CLEAVE_DATA_DIR", os.Getpid(), dir)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want ErrInUse with %q", err, want)
	}
	if err := Remove(t.Context(), dir); !errors.Is(err, ErrInUse) {
		t.Errorf("removing it gives %v, want ErrInUse", err)
	}
}

func TestCtrlCLetsTheAppDrainFirst(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	a := startApp(t, dir, template)
	a.line(t, "ready")
	// A terminal sends the signal to all processes of the group.
	if err := syscall.Kill(-a.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	a.line(t, "draining the database still answers")
	a.line(t, "stopped")
	if err := a.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestAdoptsTheServerOfAKilledApp(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	a := startApp(t, dir, template)
	pid, err := strconv.Atoi(a.line(t, "ready"))
	if err != nil {
		t.Fatal(err)
	}
	a.kill()

	s := start(t, quick(dir))
	if s.PID() != pid {
		t.Errorf("the server has pid %d, want that of the one left running, %d", s.PID(), pid)
	}
	query[int64](t, s.URL(), "SELECT 1::bigint")
	stop(t, s)
	if alive(pid) {
		t.Error("the adopted server still runs after Stop")
	}
	if _, err := readPidfile(s.place.data()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the adopted server was not shut down cleanly: %v", err)
	}
}

func TestReplacesAServerThatNobodyCanReach(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	a := startApp(t, dir, template)
	left := a.line(t, "ready")
	a.kill()
	// As it happens when something cleans /tmp.
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := locate(resolved)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(p.socketDir()); err != nil {
		t.Fatal(err)
	}

	s := start(t, quick(dir))
	if strconv.Itoa(s.PID()) == left {
		t.Error("the server without a socket was not replaced")
	}
	query[int64](t, s.URL(), "SELECT 1::bigint")
}

func TestDeathOfTheServerIsTold(t *testing.T) {
	t.Parallel()
	o := quick(folder(t))
	s := start(t, o)
	if err := s.Err(); err != nil {
		t.Errorf("a running server has the error %v", err)
	}
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "signal: killed") || !strings.Contains(err.Error(), s.place.log()) {
		t.Errorf("got %v, want how it ended and its log", err)
	}
	stop(t, s)

	again := start(t, o)
	query[int64](t, again.URL(), "SELECT 1::bigint")
}

func TestStop(t *testing.T) {
	t.Parallel()
	o := quick(folder(t))
	s := start(t, o)
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	stop(t, s)
	stop(t, s)
	select {
	case <-s.Done():
		t.Error("Done is closed by Stop")
	default:
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a connection survived Stop")
	}
	if _, err := os.Stat(s.place.socketDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the socket is left: %v", err)
	}
}

func TestStopThatTakesTooLongEndsTheServerAllTheSame(t *testing.T) {
	t.Parallel()
	o := quick(folder(t))
	s := start(t, o)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ended); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "did not stop in time") {
		t.Errorf("got %v, want that it did not stop in time", err)
	}
	<-s.process.exited
	stop(t, s)
	query[int64](t, start(t, o).URL(), "SELECT 1::bigint")
}

func TestStartTellsWhyTheServerEnded(t *testing.T) {
	t.Parallel()
	o := quick(folder(t))
	o.Settings = map[string]string{"shared_buffers": "much"}
	_, err := Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "shared_buffers"`) {
		t.Errorf("got %v, want the last lines of the log", err)
	}
	// Nothing is left that would be in the way.
	o.Settings = unsafe
	start(t, o)
}

func TestLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("a-long-name/", 20), "with a space and [brackets]")
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	query[int64](t, start(t, quick(dir)).URL(), "SELECT 1::bigint")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	a := startApp(t, dir, template)
	pid, err := strconv.Atoi(a.line(t, "ready"))
	if err != nil {
		t.Fatal(err)
	}
	a.kill()
	notOurs := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(notOurs, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	if err := Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Error("the server left running still runs")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%v are left (%v), want the foreign file only", left, err)
	}
	if err := os.Remove(notOurs); err != nil {
		t.Fatal(err)
	}
	if err := Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the empty folder is left: %v", err)
	}
}
