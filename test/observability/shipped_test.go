package observability

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	shipped  = "../../deploy/observability/"
	runbooks = "../../docs/runbooks/"
)

// read returns a file that is shipped.
func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// glob returns the files that a pattern names, of which there must be some.
func glob(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return files
}

// change is a text of a shipped file and what a test puts in its place.
type change struct{ from, to string }

// ship copies a shipped file into a folder, changed. A change that finds nothing fails the test: the file has become another.
func ship(t testing.TB, folder, path string, changes ...change) {
	t.Helper()
	text := read(t, shipped+path)
	for _, c := range changes {
		if !strings.Contains(text, c.from) {
			t.Fatalf("%s does not contain %q, which this test changes", path, c.from)
		}
		text = strings.ReplaceAll(text, c.from, c.to)
	}
	target := filepath.Join(folder, path)
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
