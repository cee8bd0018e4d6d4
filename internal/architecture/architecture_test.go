// Package architecture holds the rules of which package may import which. The compiler cannot hold them all; these tests do, and
// they plant a violation of each to prove that they bite.
package architecture

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

const root = "github.com/cleave-go/cleave/"

// rule forbids imports, and says why.
type rule struct {
	why string
	// forbids reports whether the package may not import the other. Both are paths below the root.
	forbids func(importer, imported string) bool
	// planted is an import that breaks the rule: a file and what it imports.
	planted [2]string
}

var rules = []rule{
	{
		why: "a module meets another only through its contract, so that it can live elsewhere",
		forbids: func(importer, imported string) bool {
			return below(importer, "modules") && below(imported, "modules") && segment(importer, 1) != segment(imported, 1)
		},
		planted: [2]string{"modules/catalog/planted.go", "modules/inventory"},
	},
	{
		why:     "the platform would suit another company: it knows no module",
		forbids: func(importer, imported string) bool { return below(importer, "platform") && below(imported, "modules") },
		planted: [2]string{"platform/page/planted.go", "modules/orders"},
	},
	{
		why: "the platform knows no business contract",
		forbids: func(importer, imported string) bool {
			return below(importer, "platform") && below(imported, "gen") && !below(imported, "gen/cleave/platform")
		},
		planted: [2]string{"platform/page/planted.go", "gen/cleave/orders/v1"},
	},
	{
		why: "only a binary decides what it is made of",
		forbids: func(importer, imported string) bool {
			return below(imported, "cmd") && !below(importer, "cmd") && !below(importer, "test")
		},
		planted: [2]string{"modules/orders/planted.go", "cmd/internal/house"},
	},
	{
		why: "messages and Connect clients are what other apps import: they link nothing of the platform",
		forbids: func(importer, imported string) bool {
			return below(importer, "gen/cleave") && !strings.HasSuffix(importer, "cleave") && (below(imported, "platform") || strings.HasSuffix(imported, "cleave"))
		},
		planted: [2]string{"gen/cleave/orders/v1/planted.go", "platform/rpc"},
	},
}

func TestImports(t *testing.T) {
	t.Parallel()
	for _, violation := range violations(t, "") {
		t.Error(violation)
	}
}

func TestImportRulesBite(t *testing.T) {
	t.Parallel()
	for _, r := range rules {
		t.Run(r.planted[0]+" imports "+r.planted[1], func(t *testing.T) {
			t.Parallel()
			for _, violation := range violations(t, plant(t, r.planted[0], r.planted[1])) {
				if strings.Contains(violation, r.why) {
					return
				}
			}
			t.Errorf("the planted violation was not found: %s", r.why)
		})
	}
}

// TestModulesExportOnlyModule holds that the door of a module is its only name.
func TestModulesExportOnlyModule(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("../../modules/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no modules: %v", err)
	}
	for _, folder := range folders {
		for _, name := range exported(t, os.DirFS(folder)) {
			if name != "Module" {
				t.Errorf("%s exports %s: a module exports Module and nothing else", folder, name)
			}
		}
	}
}

// violations returns what breaks a rule in the repository, with the overlay of planted files if one is given.
func violations(t *testing.T, overlay string) []string {
	t.Helper()
	var found []string
	for _, p := range list(t, overlay) {
		importer := strings.TrimPrefix(p.ImportPath, root)
		for i, imports := range [][]string{p.Imports, p.TestImports, p.XTestImports} {
			for _, path := range imports {
				imported, ours := strings.CutPrefix(path, root)
				if !ours {
					continue
				}
				// A test from outside of a module is a host, as cmd is: it may put modules together.
				if outside := i == 2; outside && below(importer, "modules") && below(imported, "modules") {
					continue
				}
				for _, r := range rules {
					if r.forbids(importer, imported) {
						found = append(found, fmt.Sprintf("%s imports %s: %s", importer, imported, r.why))
					}
				}
			}
		}
	}
	return found
}

type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func list(t *testing.T, overlay string) []listed {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "-overlay="+overlay, "./...")
	command.Dir = "../.."
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// plant returns an overlay in which the file imports the package.
func plant(t *testing.T, file, imported string) string {
	t.Helper()
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(filepath.Dir(file))
	if name == "v1" {
		name = "ordersv1"
	}
	folder := t.TempDir()
	source := filepath.Join(folder, "planted.go")
	if err := os.WriteFile(source, []byte("package "+name+"\n\nimport _ \""+root+imported+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(repository, filepath.FromSlash(file)): source}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// exported returns the exported names of a package's own files.
func exported(t *testing.T, folder fs.FS) []string {
	t.Helper()
	files, err := fs.Glob(folder, "*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	add := func(name *ast.Ident) {
		if name.IsExported() {
			names = append(names, name.Name)
		}
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := fs.ReadFile(folder, file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					add(d.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						add(s.Name)
					case *ast.ValueSpec:
						for _, name := range s.Names {
							add(name)
						}
					}
				}
			}
		}
	}
	return names
}

// below reports whether a package is the folder or in it.
func below(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// segment returns the i-th part of a path.
func segment(path string, i int) string {
	if parts := strings.Split(path, "/"); i < len(parts) {
		return parts[i]
	}
	return ""
}

func TestExportRuleBites(t *testing.T) {
	t.Parallel()
	folder := fstest.MapFS{"planted.go": {Data: []byte("package planted\n\nvar Module = 1\n\ntype Service struct{}\n\nfunc New() {}\n")}}
	if got := strings.Join(exported(t, folder), " "); got != "Module Service New" {
		t.Errorf("exported names: %s", got)
	}
}
