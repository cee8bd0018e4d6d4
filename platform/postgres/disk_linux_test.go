package postgres

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestFullDisk(t *testing.T) {
	asRoot(t)
	dir := folder(t)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m,mode=755"); err != nil {
		t.Skipf("this machine does not let root mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := Remove(context.Background(), dir); err != nil {
			t.Error(err)
		}
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	for name, o := range map[string]Options{"initdb": {Dir: dir}, "template": quick(dir)} {
		_, err := Start(t.Context(), o)
		if err == nil {
			t.Fatalf("%s: the cluster fits on 8 MB", name)
		}
		if !strings.Contains(strings.ToLower(err.Error()), "no space left on device") || !strings.Contains(err.Error(), "free some space on this disk") {
			t.Errorf("%s: %v does not say what to do", name, err)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error is more than a line: %v", name, err)
		}
	}
}
