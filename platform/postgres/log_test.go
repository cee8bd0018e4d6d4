package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTrimLogKeepsTheNewerHalf(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	// As the server has it open.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write := func(s string) {
		if _, err := file.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string) {
		t.Helper()
		if err := trimLog(path, 100); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("the log is %q, want %q", got, want)
		}
	}
	half := strings.Repeat("o", 50)
	write(half + half)
	check(half + half)
	write(strings.Repeat("n", 50))
	check(strings.Repeat("n", 50))
	write("after")
	check(strings.Repeat("n", 50) + "after")
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	old := "of an earlier start\n"
	if err := os.WriteFile(path, []byte(old+strings.Repeat("more\n", 20)+"FATAL:  the last\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := lastLines(path, int64(len(old)))
	if !strings.HasSuffix(got, "FATAL:  the last") || strings.Count(got, "\n") != 10 || !strings.Contains(got, path) {
		t.Errorf("got %q", got)
	}
	if got := lastLines(path, 1<<20); !strings.Contains(got, "wrote nothing") {
		t.Errorf("behind the end: %q", got)
	}
}
