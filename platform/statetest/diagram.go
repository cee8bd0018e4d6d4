// Package statetest keeps the diagrams of state machines in the docs true: a test draws a module's machine anew and compares.
//
// It owns the drawing. It does not own the machines, which are tables of their modules.
package statetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// update is the variable of the environment with which the diagrams are written instead of compared: see make diagrams.
const update = "CLEAVE_UPDATE_DIAGRAMS"

// Diagram holds that docs/states/<name>.md draws the machine that begins with a state and has these transitions. The file is the test's:
// `make diagrams` writes it.
func Diagram[S ~string](t testing.TB, name string, first S, transitions map[S][]S) {
	t.Helper()
	root, err := root()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "docs", "states", name+".md")
	want := fmt.Sprintf("<!-- Drawn by make diagrams from the table of transitions in the module. -->\n\n# States: %s\n\n```mermaid\n%s```\n",
		strings.ReplaceAll(name, "-", " "), draw(first, transitions))
	if os.Getenv(update) != "" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s does not draw the machine as it is (%v): run make diagrams, and read the difference", file, err)
	}
}

// draw returns the diagram in Mermaid. States come in the order in which one gets to them from the first.
func draw[S ~string](first S, transitions map[S][]S) string {
	var b strings.Builder
	fmt.Fprintf(&b, "stateDiagram-v2\n    [*] --> %s\n", first)
	seen, queue := map[S]bool{first: true}, []S{first}
	for len(queue) > 0 {
		from := queue[0]
		queue = queue[1:]
		if len(transitions[from]) == 0 {
			fmt.Fprintf(&b, "    %s --> [*]\n", from)
		}
		for _, to := range slices.Sorted(slices.Values(transitions[from])) {
			fmt.Fprintf(&b, "    %s --> %s\n", from, to)
			if !seen[to] {
				seen[to] = true
				queue = append(queue, to)
			}
		}
	}
	return b.String()
}

// root returns the folder of the repository that the test is in.
func root() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, gone := os.Stat(filepath.Join(dir, "go.mod")); gone == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("there is no go.mod above the test")
		}
	}
	return "", err
}
