//go:build unix

package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// installation makes a folder with programs that say a version, and returns it.
func installation(t *testing.T, root, name, version string) string {
	t.Helper()
	dir := filepath.Join(root, name, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
	if version == "" {
		script = "#!/bin/sh\nexit 1\n"
	}
	for _, program := range []string{"postgres", "initdb"} {
		if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindTakesTheFirstThatFits(t *testing.T) {
	t.Parallel()
	a, err := defaultAccount()
	if err != nil {
		t.Fatal(err)
	}
	root := reachable(t)
	broken := installation(t, root, "broken", "")
	v14 := installation(t, root, "14", "14.9 (Debian 14.9-1.pgdg120+1)")
	v16 := installation(t, root, "16", "16.2")
	v18 := installation(t, root, "18", "18beta1")
	links := filepath.Join(root, "links")
	if err := os.Mkdir(links, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(v18, "postgres"), filepath.Join(links, "postgres")); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		name    string
		dirs    []string
		major   int
		dir     string
		version string
		message string
	}{
		{name: "any", dirs: []string{"/nowhere", broken, v14, v16, v18}, dir: v16, version: "16.2"},
		{name: "that of the data", dirs: []string{v16, v18}, major: 18, dir: v18, version: "18beta1"},
		{name: "behind a link", dirs: []string{links}, dir: v18, version: "18beta1"},
		{name: "none", dirs: []string{"/nowhere"},
			message: `PostgreSQL 15 or newer is not installed; install it, for example with "apt-get install postgresql" or "brew install postgresql@17"`},
		{name: "too old", dirs: []string{v14},
			message: "PostgreSQL 15 or newer is not installed (found 14.9 in " + v14 + ")"},
		{name: "none for the data", dirs: []string{broken, v16}, major: 17,
			message: "the data need PostgreSQL 17, the version that made them, and it is not installed (found one in " + broken +
				" that does not run: exit status 1, 16.2 in " + v16 + `); install it, for example with "apt-get install postgresql-17"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bin, err := find(t.Context(), c.dirs, a, c.major)
			if c.message != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.message) {
					t.Errorf("got  %v\nwant %s", err, c.message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if bin.dir != c.dir || bin.version != c.version {
				t.Errorf("got %+v, want %s in %s", bin, c.version, c.dir)
			}
		})
	}
}

func TestPlacesBeginWithWhatTheDeveloperChose(t *testing.T) {
	root := reachable(t)
	first := installation(t, root, "first", "16.2")
	second := installation(t, root, "second", "17.1")
	config := filepath.Join(root, "pg_config")
	if err := os.WriteFile(config, []byte("#!/bin/sh\n[ \"$1\" = --bindir ] && echo "+second+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", root+":"+first)
	if got := places(); len(got) < 2 || got[0] != first || got[1] != second {
		t.Errorf("the places begin with %v, want that in PATH and that of pg_config", got)
	}
}

func TestNewestFirst(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, name := range []string{"9.6", "10", "15", "latest", "18"} {
		if err := os.MkdirAll(filepath.Join(root, "postgresql@"+name, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, dir := range newestFirst(filepath.Join(root, "postgresql@*", "bin")) {
		names = append(names, strings.TrimPrefix(filepath.Base(filepath.Dir(dir)), "postgresql@"))
	}
	if want := []string{"18", "15", "10", "9.6", "latest"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestDataOfAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	o := quick(dir)
	s := start(t, o)
	stop(t, s)
	for version, want := range map[string]string{
		"13":  "the data need PostgreSQL 13, the version that made them, and it is not installed",
		"9.6": "were made by PostgreSQL 9.6, which is too old",
	} {
		if err := os.WriteFile(filepath.Join(s.place.data(), "PG_VERSION"), []byte(version+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("version %s: got %v, want %q", version, err, want)
		}
	}
}

func TestInstalled(t *testing.T) {
	t.Parallel()
	version, err := Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, quick(folder(t)))
	if got := query[string](t, s.URL(), "SHOW server_version"); !strings.HasPrefix(got, version) {
		t.Errorf("Installed says %s, the server says %s", version, got)
	}
}
