package postgrestest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/postgres"
)

func TestServerIsAClusterOfItsOwn(t *testing.T) {
	t.Parallel()
	s := Server(t)
	execute(t, s.URL(), "CREATE ROLE only_here")
	if query[bool](t, URL(t), "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = 'only_here')") {
		t.Error("a role of the separate cluster is in the shared one")
	}
	server, err := os.FindProcess(s.PID())
	if err != nil {
		t.Fatal(err)
	}
	// Not SIGKILL, after which only the next start of the same cluster would give its shared memory back.
	if err := server.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	query[int](t, URL(t), "SELECT 1")
}

// ownHome returns a folder for throwaway clusters that no other process sweeps.
func ownHome(t *testing.T) string {
	t.Helper()
	usual, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp(filepath.Dir(usual), "cleave-postgrestest-home-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if err := passable(home); err != nil {
		t.Fatal(err)
	}
	return home
}

// abandon starts a cluster, tells its folder and process id, and waits to be killed.
func abandon(home string) error {
	n, err := startIn(context.Background(), home, os.Getenv(abandonIn+"_TEMPLATE"))
	if err != nil {
		return err
	}
	fmt.Println(n.dir, n.server.PID())
	select {}
}

func TestClustersOfKilledTestsAreSweptAndNoOthers(t *testing.T) {
	t.Parallel()
	home := ownHome(t)
	version, err := postgres.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	template, err := machineTemplate(t.Context(), home, version)
	if err != nil {
		t.Fatal(err)
	}
	killed := exec.Command(os.Args[0])
	killed.Env = append(os.Environ(), abandonIn+"="+home, abandonIn+"_TEMPLATE="+template)
	killed.Stderr = os.Stderr
	out, err := killed.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	said.Scan()
	_ = killed.Process.Kill()
	_ = killed.Wait()
	var left string
	var pid int
	if _, err := fmt.Sscan(said.Text(), &left, &pid); err != nil {
		t.Fatalf("the process said %q: %v", said.Text(), err)
	}
	living, err := startIn(t.Context(), home, template)
	if err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(home, templatePrefix+"15.1-2020-01-01")
	if err := os.Mkdir(old, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-72*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if !runs(pid) {
		t.Fatal("the abandoned server ended by itself; there is nothing to sweep")
	}

	if err := sweep(t.Context(), home); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(home)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if want := filepath.Base(living.dir) + " " + filepath.Base(template); strings.Join(names, " ") != want {
		t.Errorf("after the sweep there are %q, want %q", names, want)
	}
	query[int](t, living.server.URL(), "SELECT 1")
	if err := living.remove(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTemplateIsMadeOnceByManyProcesses(t *testing.T) {
	t.Parallel()
	home := ownHome(t)
	version, err := postgres.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			template, err := machineTemplate(t.Context(), home, version)
			if err != nil {
				t.Error(err)
				return
			}
			n, err := startIn(t.Context(), home, template)
			if err != nil {
				t.Error(err)
				return
			}
			if err := n.remove(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if entries, err := os.ReadDir(home); err != nil || len(entries) != 1 {
		t.Errorf("there are %v (%v), want the template only", entries, err)
	}
}
