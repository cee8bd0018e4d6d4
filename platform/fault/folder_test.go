package fault

import (
	"slices"
	"testing"
)

func TestFolder(t *testing.T) {
	t.Parallel()
	f := Folder(t.TempDir())
	if _, armed := f.take("a/b/c"); armed {
		t.Error("a place is armed that nobody has armed")
	}
	if err := f.Arm("a/b/c", "kill"); err != nil || !f.Armed("a/b/c") || f.Armed("a/b") {
		t.Errorf("armed is a/b/c: %v, a/b: %v (%v)", f.Armed("a/b/c"), f.Armed("a/b"), err)
	}
	if err := f.Arm("a/b/c", "pause"); err == nil {
		t.Error("a place is armed twice")
	}
	if what, armed := f.take("a/b/c"); !armed || what != "kill" {
		t.Errorf("taken was %q (%v)", what, armed)
	}
	if _, again := f.take("a/b/c"); again || f.Armed("a/b/c") {
		t.Error("what is armed happens twice")
	}
	for _, place := range []string{"a/b/c", "a/b/d", "a/b/c"} {
		if err := f.pass(place); err != nil {
			t.Fatal(err)
		}
	}
	if passed, err := f.Passed(); err != nil || !slices.Equal(passed, []string{"a/b/c", "a/b/d"}) {
		t.Errorf("passed were %q (%v)", passed, err)
	}
}
