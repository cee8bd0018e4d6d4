package conformance

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// serveArgument makes the test binary the program under test.
const serveArgument = "serve"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == serveArgument {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// patience is after how long a runner that hangs is killed. It takes about ten seconds, and more with the race detector on a machine
// that has other work.
const patience = 2 * time.Minute

// atLeast is how many cases must have run: a runner that finds none is content.
const atLeast = 2_000

func TestConformance(t *testing.T) {
	runner := build(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	run := exec.CommandContext(ctx, runner, "--mode", "server", "--conf", "features.yaml", "--", self, serveArgument)
	run.WaitDelay = 10 * time.Second // What the runner started may hold its output open.
	output, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	total := regexp.MustCompile(`Total cases: (\d+)`).FindSubmatch(output)
	if total == nil {
		t.Fatalf("no total in:\n%s", output)
	}
	if n, _ := strconv.Atoi(string(total[1])); n < atLeast {
		t.Errorf("%d cases were run, want at least %d:\n%s", n, atLeast, output)
	}
	t.Logf("%s", output)
}

// build builds the runner, the first time on a machine for about a minute.
func build(t *testing.T) string {
	t.Helper()
	runner := filepath.Join(t.TempDir(), "connectconformance")
	command := exec.Command("go", "build", "-o", runner, "connectrpc.com/conformance/cmd/connectconformance")
	command.Dir = filepath.Join("..", "..", "..", "tools", "conformance")
	command.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build the runner: %v\n%s", err, output)
	}
	return runner
}
