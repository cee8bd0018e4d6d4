package statetest

import "testing"

func TestDrawFollowsTheWay(t *testing.T) {
	t.Parallel()
	got := draw("a", map[string][]string{"b": {"d"}, "a": {"c", "b"}, "unreachable": {"a"}})
	want := "stateDiagram-v2\n    [*] --> a\n    a --> b\n    a --> c\n    b --> d\n    c --> [*]\n    d --> [*]\n"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
