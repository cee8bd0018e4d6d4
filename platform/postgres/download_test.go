//go:build unix

package postgres

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// archive is what the repository serves: a zip file around a compressed tar file, here of three shell scripts.
func archive(t *testing.T) []byte {
	t.Helper()
	programs, err := os.ReadFile("testdata/programs.txz")
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	w, err := z.Create("postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(programs); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestDownload(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // where the library leaves a log
	jar := archive(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, "/18.3.0/embedded-postgres-binaries-") {
			http.NotFound(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			fmt.Fprintf(w, "%x", sha256.Sum256(jar))
			return
		}
		w.Write(jar)
	}))
	// The library uses the default client, whose idle connections would count as leaks.
	defer http.DefaultClient.CloseIdleConnections()
	defer server.Close()
	a, err := defaultAccount()
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(reachable(t), "postgres-binaries")

	dir, err := fetch(t.Context(), server.URL, downloadable[18], cache, a)
	if err != nil {
		t.Fatal(err)
	}
	bin, err := find(t.Context(), downloaded(cache), a, 18)
	if err != nil || bin.dir != dir || bin.version != "18.3" {
		t.Errorf("got %+v, %v; want 18.3 in %s", bin, err, dir)
	}
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 1 {
		t.Errorf("the cache holds %v (%v), want one folder", left, err)
	}
	if _, err := fetch(t.Context(), server.URL, downloadable[15], cache, a); err == nil || !strings.Contains(err.Error(), string(downloadable[15])) {
		t.Errorf("a version that the repository has not: %v", err)
	}
}
