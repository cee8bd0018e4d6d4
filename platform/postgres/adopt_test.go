//go:build unix

package postgres

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// crash leaves the data of a server that was killed, and returns the name of its pid file.
func crash(t *testing.T, o Options) string {
	t.Helper()
	s := start(t, o)
	query[int64](t, s.URL(), "WITH x AS (SELECT lo_create(4711)) SELECT count(*) FROM x")
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	stop(t, s)
	return pidfilePath(s.place.data())
}

// rewrite puts another process id into a pid file.
func rewrite(t *testing.T, path string, pid int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), "\n")
	if err := os.WriteFile(path, []byte(strconv.Itoa(pid)+"\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStalePidFile(t *testing.T) {
	t.Parallel()
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for name, pid := range map[string]int{
		"of a process that is gone":                        dead.Process.Pid,
		"whose number another program has now":             other(t),
		"whose number this process has, as in a container": os.Getpid(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := quick(folder(t))
			rewrite(t, crash(t, o), pid)
			s := start(t, o)
			if found := query[bool](t, s.URL(), "SELECT EXISTS (SELECT FROM pg_largeobject_metadata WHERE oid = 4711)"); !found {
				t.Error("what was committed before the crash is gone")
			}
		})
	}
}

func TestServesTellsServersApart(t *testing.T) {
	t.Parallel()
	one := start(t, quick(folder(t)))
	two := start(t, quick(folder(t)))
	if !serves(one.PID(), one.place.data()) {
		t.Error("a server is not recognised by its data")
	}
	if serves(two.PID(), one.place.data()) {
		t.Error("a server is taken for that of other data")
	}
}

func TestAliveKnowsTheDead(t *testing.T) {
	t.Parallel()
	// It ends, but nobody waits for it: a zombie.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "read x <&0")
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if !alive(cmd.Process.Pid) {
		t.Error("a running process is taken for dead")
	}
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))); err != nil {
		t.Skip("without /proc the first process reaps all")
	}
	w.Close()
	handle := follow(cmd.Process, t.TempDir())
	<-handle.exited
	if err := cmd.Wait(); err == nil {
		t.Error("read succeeded on a closed pipe")
	}
}
