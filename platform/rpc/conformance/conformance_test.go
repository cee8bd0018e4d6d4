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

// timeouts are the cases in which a call ends by its deadline. The runner's client has the same deadline as the server, and where it is the
// first to give up it reads half of the server's error and calls that a failure. So these, and no others, have more than one attempt.
const (
	timeouts         = "Timeouts/**"
	timeoutsAttempts = 4
)

func TestConformance(t *testing.T) {
	runner := build(t)
	all, err := try(t, runner, "--skip", timeouts)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	for attempt := range timeoutsAttempts {
		if n, err = try(t, runner, "--run", timeouts); err == nil {
			break
		}
		t.Logf("attempt %d: %v", attempt+1, err)
	}
	if err != nil {
		t.Fatalf("the cases %s fail at every attempt", timeouts)
	}
	if all += n; n == 0 || all < atLeast {
		t.Errorf("%d cases were run, %d of them %s, want at least %d", all, n, timeouts, atLeast)
	}
}

// try runs some of the cases against this binary and returns how many there were.
func try(t *testing.T, runner string, which ...string) (int, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	run := exec.CommandContext(ctx, runner, append(which, "--mode", "server", "--conf", "features.yaml", "--", self, serveArgument)...)
	run.WaitDelay = 10 * time.Second // What the runner started may hold its output open.
	output, err := run.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w\n%s", err, output)
	}
	t.Logf("%v\n%s", which, output)
	total := regexp.MustCompile(`Total cases: (\d+)`).FindSubmatch(output)
	if total == nil {
		return 0, fmt.Errorf("no total in:\n%s", output)
	}
	return strconv.Atoi(string(total[1]))
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
