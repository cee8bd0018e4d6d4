package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// axe runs every rule of axe, also those that are off unless one asks for them.
const axe = `axe.run(document, {rules: {"target-size": {enabled: true}}}).then((results) => ({
	rules: results.passes.length,
	violations: results.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + v.help + ": " + n.html + " " + n.failureSummary)),
}))`

// CheckAccess fails the test if axe finds in the page, as it is now, something that keeps people from using it.
func (p *Page) CheckAccess(t testing.TB) {
	t.Helper()
	library, err := os.ReadFile(filepath.Join(Packages(t), "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	p.Do(t, chromedp.Evaluate(string(library), nil))
	found := Evaluate[struct {
		Rules      int
		Violations []string
	}](t, p, axe)
	if found.Rules == 0 {
		t.Error("axe has looked at nothing")
	}
	for _, violation := range found.Violations {
		t.Error(violation)
	}
}

// Packages returns the folder of the npm packages that tests use.
func Packages(t testing.TB) string {
	t.Helper()
	folder, err := packages(".")
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func packages(from string) (string, error) {
	root, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	for at := root; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			root = at
			break
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is in no Go module", strings.TrimSuffix(root, "/"))
		}
	}
	folder := filepath.Join(root, "tools", "node_modules")
	if _, err := os.Stat(filepath.Join(folder, "axe-core")); err != nil {
		return "", fmt.Errorf("%w: the tests of pages need npm packages: make tools", err)
	}
	return folder, nil
}
