package statetest

import (
	"os"
	"path/filepath"
	"testing"
)

type light string

var lights = map[light][]light{"red": {"green", "broken"}, "green": {"red"}}

const drawn = "# Lights\n\n```mermaid\nstateDiagram-v2\n    [*] --> red\n    green --> red\n    red --> broken\n    red --> green\n    broken --> [*]\n```\n\nAs in every street.\n"

func TestDrawn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lights.md")
	if err := os.WriteFile(path, []byte("# Lights\n\n```mermaid\nold\n```\n\nAs in every street.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !fails(path) {
		t.Error("an old drawing passes")
	}
	t.Setenv(write, "1")
	Drawn(t, path, "red", lights)
	if got, err := os.ReadFile(path); err != nil || string(got) != drawn {
		t.Errorf("%v, drawn is\n%s, want\n%s", err, got, drawn)
	}
	t.Setenv(write, "")
	if fails(path) {
		t.Error("the drawing of the machine does not pass")
	}
}

func TestDocumentWithoutADrawing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "```mermaid\nstateDiagram-v2\n"} {
		if _, err := redrawn(text, ""); err == nil {
			t.Errorf("%q is drawn into", text)
		}
	}
}

// fails reports whether a document fails its test.
func fails(path string) bool {
	r := &recorder{}
	Drawn(r, path, "red", lights)
	return r.failed
}

type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
