// Package statetest keeps the drawings of state machines in the docs the same as the machines in the code.
//
// It does not own a machine: a module says which of its states may follow which, and a test of the module has it drawn.
package statetest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// write is the setting with which a drawing that differs is made anew, as make states does.
const write = "CLEAVE_WRITE_STATES"

// Drawn requires that the first Mermaid drawing in a document shows a state machine that begins in the first state. What is written around
// the drawing is nobody's business here. The path is that of the document, from the folder of the test.
func Drawn[S ~string](t testing.TB, path string, first S, transitions map[S][]S) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := redrawn(string(text), drawing(first, transitions))
	switch {
	case err != nil:
		t.Fatalf("%s: %v", path, err)
	case want == string(text):
	case os.Getenv(write) != "":
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not show the states as they are: run make states and read the difference", path)
	}
}

const opening, closing = "```mermaid\n", "```\n"

// redrawn returns a document with another drawing in place of its first one.
func redrawn(document, drawing string) (string, error) {
	before, rest, found := strings.Cut(document, opening)
	if !found {
		return "", fmt.Errorf("there is no %q", strings.TrimSpace(opening))
	}
	_, after, found := strings.Cut(rest, closing)
	if !found {
		return "", fmt.Errorf("the drawing has no end")
	}
	return before + opening + drawing + closing + after, nil
}

// drawing returns a state machine in Mermaid, the states in the order of the alphabet. States that lead nowhere lead to the end.
func drawing[S ~string](first S, transitions map[S][]S) string {
	var b strings.Builder
	fmt.Fprintf(&b, "stateDiagram-v2\n    [*] --> %s\n", first)
	last := map[S]bool{}
	for _, from := range slices.Sorted(maps.Keys(transitions)) {
		for _, to := range slices.Sorted(slices.Values(transitions[from])) {
			fmt.Fprintf(&b, "    %s --> %s\n", from, to)
			last[to] = len(transitions[to]) == 0
		}
	}
	for _, s := range slices.Sorted(maps.Keys(last)) {
		if last[s] {
			fmt.Fprintf(&b, "    %s --> [*]\n", s)
		}
	}
	return b.String()
}
