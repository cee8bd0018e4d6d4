//go:build unix

package postgres

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// appDir in the environment makes the test binary a program that has a cluster in this folder; see startApp.
const appDir = "CLEAVE_POSTGRES_TEST_APP_DIR"

func TestMain(m *testing.M) {
	syscall.Umask(0o022) // the tests write programs for another user
	if dir := os.Getenv(appDir); dir != "" {
		if err := runApp(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := makeTemplate(); err != nil {
		fmt.Fprintln(os.Stderr, "make a cluster to copy:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(template)
		os.Exit(code)
	}))
}

// unsafe are settings for data that nobody wants to have after a power cut.
var unsafe = map[string]string{"fsync": "off"}

// template is the folder of a cluster that most tests copy, because initdb takes longer than the rest of a test.
var template string

func makeTemplate() error {
	dir, err := os.MkdirTemp("", "cleave-postgres-test-")
	if err != nil {
		return err
	}
	template = dir
	if err := os.Chmod(dir, 0o755); err != nil { // for the server's user
		return err
	}
	s, err := Start(context.Background(), Options{Dir: dir, Settings: unsafe})
	if err != nil {
		return err
	}
	return s.Stop(context.Background())
}

// reachable returns an empty folder that the server's user can reach, which t.TempDir is not for root.
func reachable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// folder returns a folder for a cluster, which is removed at the end of the test.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(reachable(t), "postgres")
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Errorf("remove the cluster of the test: %v", err)
		}
	})
	return dir
}

// quick are the options of a cluster that is cheap to start.
func quick(dir string) Options {
	return Options{Dir: dir, Settings: unsafe, Template: template}
}

// start starts a cluster and stops it at the end of the test.
func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// query returns the single value that a statement yields.
func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	value, err := ask[T](t.Context(), url, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func ask[T any](ctx context.Context, url, sql string) (value T, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return value, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, sql).Scan(&value)
	return value, err
}

// app is another process with a cluster.
type app struct {
	cmd *exec.Cmd
	out *bufio.Scanner
}

// startApp starts a process that starts a cluster in dir from the template. It is in a process group of its own, as a program that was
// started in a terminal is.
func startApp(t *testing.T, dir, template string) *app {
	t.Helper()
	a := &app{cmd: exec.Command(os.Args[0])}
	a.cmd.Env = append(os.Environ(), appDir+"="+dir, appDir+"_TEMPLATE="+template)
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	a.cmd.Stderr = os.Stderr
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.out = bufio.NewScanner(out)
	// Never written to; the app ends with this process, however that ends.
	if _, err := a.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.kill() })
	return a
}

// line waits for the next line that the app prints, and requires it to start with the word.
func (a *app) line(t *testing.T, word string) string {
	t.Helper()
	if !a.out.Scan() {
		t.Fatalf("the app ended before it said %q", word)
	}
	rest, ok := strings.CutPrefix(a.out.Text(), word)
	if !ok {
		t.Fatalf("the app said %q, want %q", a.out.Text(), word)
	}
	return strings.TrimSpace(rest)
}

// kill ends the app without a chance to clean up.
func (a *app) kill() {
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
}

// runApp is what the app does: it says "ready" and the server's process id, and at Ctrl-C what the database still answers.
func runApp(dir string) error {
	interrupted, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	ctx := context.Background()
	o := Options{Dir: dir, Settings: unsafe, Template: os.Getenv(appDir + "_TEMPLATE"),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	s, err := Start(ctx, o)
	if err != nil {
		return err
	}
	fmt.Println("ready", s.PID())
	<-interrupted.Done()
	answer, err := ask[string](ctx, s.URL(), "SELECT 'the database still answers'")
	if err != nil {
		return err
	}
	fmt.Println("draining", answer)
	if err := s.Stop(ctx); err != nil {
		return err
	}
	fmt.Println("stopped")
	return nil
}
