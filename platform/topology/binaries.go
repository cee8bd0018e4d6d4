package topology

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// buildPatience bounds one build. It is generous, for a machine with an empty build cache.
const buildPatience = 5 * time.Minute

// Binaries builds programs of this repository, each once. They live as long as the test that it was made for, so a test makes one
// and shares it with its subtests.
type Binaries struct {
	folder string
	root   string

	mu    sync.Mutex
	built map[string]*binary // by package and tags
}

type binary struct {
	once sync.Once
	path string
	err  error
}

// NewBinaries returns an empty set of binaries.
func NewBinaries(t testing.TB) *Binaries {
	t.Helper()
	root, err := Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &Binaries{folder: t.TempDir(), root: root, built: map[string]*binary{}}
}

// Root returns the folder of the repository that the working directory is in.
func Root(ctx context.Context) (string, error) {
	out, err := goCommand(ctx, ".", "list", "-m", "-f", "{{.Dir}}")
	return strings.TrimSpace(out), err
}

// Build returns the path of a program. The package is a folder below the root of the repository, for instance cmd/svc; it may be a
// module of its own. Whoever asks for one that is being built waits for it.
func (b *Binaries) Build(t testing.TB, pkg string, tags ...string) string {
	t.Helper()
	name := strings.Join(append([]string{filepath.Base(pkg)}, tags...), "-")
	b.mu.Lock()
	entry := b.built[pkg+" "+name]
	if entry == nil {
		entry = &binary{path: filepath.Join(b.folder, name)}
		b.built[pkg+" "+name] = entry
	}
	b.mu.Unlock()
	// Not the context of this test: others wait for the same binary.
	entry.once.Do(func() {
		entry.err = b.build(context.WithoutCancel(t.Context()), entry.path, filepath.Join(b.root, pkg), tags)
	})
	if entry.err != nil {
		t.Fatal(entry.err)
	}
	return entry.path
}

func (b *Binaries) build(ctx context.Context, path, folder string, tags []string) error {
	ctx, cancel := context.WithTimeout(ctx, buildPatience)
	defer cancel()
	if err := b.look(ctx, folder, tags); err != nil {
		return err
	}
	// Nobody debugs these binaries: without tables for a debugger they link in half the time.
	_, err := goCommand(ctx, folder, "build", "-o", path, "-buildvcs=false", "-ldflags=-w", "-tags="+strings.Join(tags, ","), ".")
	return err
}

// look looks at the files that a program is made of. go test keeps the result of a test that passed for as long as the files that
// the test has looked at stay the same, and it does not see what go build reads: without this a change of a module would find its
// test passed already.
func (b *Binaries) look(ctx context.Context, folder string, tags []string) error {
	const files = `{{if not .Standard}}{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}{{end}}`
	out, err := goCommand(ctx, folder, "list", "-deps", "-tags="+strings.Join(tags, ","), "-f", files, ".")
	if err != nil {
		return err
	}
	for _, file := range append(strings.Fields(out), filepath.Join(b.root, "go.mod"), filepath.Join(b.root, "go.sum")) {
		if !strings.HasPrefix(file, b.root+string(filepath.Separator)) {
			continue // It is of a version that go.mod names.
		}
		if _, err := os.Stat(file); err != nil {
			return err
		}
	}
	return nil
}

// goCommand runs the go command in a folder and returns what it prints.
func goCommand(ctx context.Context, folder string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = folder
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", strings.Join(args, " "), folder, err, stderr.Bytes())
	}
	return stdout.String(), nil
}
