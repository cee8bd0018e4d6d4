package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// axe runs every rule of axe, also those that are off unless one asks for them.
const axe = `axe.run(document, {rules: {"target-size": {enabled: true}}}).then((results) =>
	results.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + v.help + ": " + n.html + " " + n.failureSummary)))`

// CheckAccess fails the test if axe finds in the page, as it is now, something that keeps people from using it.
func (p *Page) CheckAccess(t testing.TB) {
	t.Helper()
	for _, violation := range p.violations(t) {
		t.Error(violation)
	}
}

func (p *Page) violations(t testing.TB) []string {
	t.Helper()
	library, err := os.ReadFile(filepath.Join(Packages(t), "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	p.Do(t, chromedp.Evaluate(string(library), nil))
	return Evaluate[[]string](t, p, axe)
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

// packages looks for them in the repository that a folder is in.
func packages(from string) (string, error) {
	root, err := filepath.Abs(from)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return "", fmt.Errorf("%s is in no Go module", from)
		}
		root = filepath.Dir(root)
	}
	folder := filepath.Join(root, "tools", "node_modules")
	if _, err := os.Stat(filepath.Join(folder, "axe-core")); err != nil {
		return "", fmt.Errorf("the tests of pages need packages of npm, run make tools: %w", err)
	}
	return folder, nil
}
