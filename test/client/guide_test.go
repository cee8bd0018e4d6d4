package client

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/topology"
)

// example is a block of commands in a guide, and what it shows that they say.
type example struct{ commands, says string }

var blocks = regexp.MustCompile("(?ms)^```sh\n(.*?)^```\n(?:```\n(.*?)^```\n)?")

// guide runs the examples of a guide as a reader would: in a checkout, in one shell, one after the other.
func guide(t *testing.T, name, url string) {
	root, err := topology.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "guides", name))
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(url, "http://")
	var examples []example
	var script strings.Builder
	for _, found := range blocks.FindAllStringSubmatch(string(text), -1) {
		examples = append(examples, example{found[1], found[2]})
		script.WriteString(strings.ReplaceAll(found[1], "127.0.0.1:8080", address) + "echo; echo '" + boundary + "'\n")
	}
	if len(examples) < 4 {
		t.Fatalf("the guide has the examples %q", examples)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-c", "exec 2>&1\n"+script.String())
	shell.Dir = root
	shell.Env = append(os.Environ(), "PATH="+grpcurl(t, root)+string(os.PathListSeparator)+os.Getenv("PATH"))
	said, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	answers := strings.Split(string(said), boundary)
	for i, e := range examples {
		if got := strings.TrimSpace(answers[i]); !pattern(e.says).MatchString(tight(got)) {
			t.Errorf("%s\ngot\n%s\nwant\n%s", e.commands, got, e.says)
		}
	}
}

const boundary = "-- the next example --"

// tight takes out the spaces that the protobuf library puts into some binaries' JSON, so that nobody compares it.
func tight(text string) string { return spaces.ReplaceAllString(text, "$1") }

var spaces = regexp.MustCompile(`([,:]) +`)

// pattern matches what an example shows, when it is tight: … is anything within a line, or, alone in one, any lines.
func pattern(says string) *regexp.Regexp {
	var lines []string
	for line := range strings.Lines(tight(strings.TrimSpace(says))) {
		line = strings.TrimRight(line, "\n")
		if line == "…" {
			lines = append(lines, "(?s:.*)")
			continue
		}
		lines = append(lines, strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*"))
	}
	return regexp.MustCompile("^" + strings.Join(lines, "\n") + "$")
}

// TestPattern holds that another answer than the guide's is noticed.
func TestPattern(t *testing.T) {
	t.Parallel()
	const says = "{\"id\":\"crt_…\",\"state\":\"ACTIVE\"}\n…\n}\n"
	for said, want := range map[string]bool{
		"{\"id\":\"crt_1\",\"state\":\"ACTIVE\"}\na\nb\n}":       true,
		"{\"id\":\"crt_1\",\"state\":\"CONVERTED\"}\na\n}":       false,
		"{\"id\":\"crt_1\",\"state\":\"ACTIVE\"}\na\n} and more": false,
		"": false,
	} {
		if pattern(says).MatchString(tight(said)) != want {
			t.Errorf("%q: got %v", said, !want)
		}
	}
	if !pattern("").MatchString("") || pattern("").MatchString("error") {
		t.Error("an example that shows nothing may say something, or may not say nothing")
	}
}

// grpcurl returns a folder with the program of that name, in the version that tools/grpcurl pins.
func grpcurl(t *testing.T, root string) string {
	t.Helper()
	find := exec.CommandContext(t.Context(), "go", "tool", "-n", "grpcurl")
	find.Dir = filepath.Join(root, "tools", "grpcurl")
	path, err := find.Output()
	if err != nil {
		t.Fatalf("build grpcurl: %v", err)
	}
	folder := t.TempDir()
	if err := os.Symlink(strings.TrimSpace(string(path)), filepath.Join(folder, "grpcurl")); err != nil {
		t.Fatal(err)
	}
	return folder
}
