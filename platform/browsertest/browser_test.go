package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestPage holds that a page with something of everything that tests look for does not look well.
func TestPage(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "script-src 'unsafe-inline'")
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, `<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1><img src="/missing.png" width="30" height="30">
			<p style="color: #bbb">Hard to read</p></main><script>console.warn("careful"); eval("1")</script>`)
	}))
	t.Cleanup(server.Close)
	page := Start(t).Open(t, server.URL)
	found := page.violations(t)
	for _, rule := range []string{"image-alt", "color-contrast"} {
		if !slices.ContainsFunc(found, func(violation string) bool { return strings.HasPrefix(violation, rule+": ") }) {
			t.Errorf("axe has found %q, and not %s", found, rule)
		}
	}
	if requests := page.Requests(); !slices.Contains(requests, server.URL+"/missing.png") {
		t.Errorf("the page has asked for %q", requests)
	}
	complaints := strings.Join(page.Complaints(), "\n")
	for _, complaint := range []string{"404 (Not Found)", `console.warning: "careful"`, "EvalError"} {
		if !strings.Contains(complaints, complaint) {
			t.Errorf("the page complains %s, and not of %s", complaints, complaint)
		}
	}
	if sum := Evaluate[int](t, page, `Promise.resolve(1 + 1)`); sum != 2 {
		t.Errorf("1 + 1 is %d", sum)
	}
}

// TestMissing holds that who lacks something is told what to do.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if path, err := find(); err == nil || !strings.Contains(err.Error(), "apt-get install chromium") {
		t.Errorf("found %s, %v", path, err)
	}
	if folder, err := packages(t.TempDir()); err == nil {
		t.Errorf("found %s", folder)
	}
}
