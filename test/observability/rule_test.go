package observability

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/cleave-go/cleave/gen/cleave/catalog/v1" // Each registers its contract.
	_ "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	_ "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	_ "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	_ "github.com/cleave-go/cleave/gen/cleave/payments/v1"
	"github.com/cleave-go/cleave/platform/topology"
)

// runbookURL is where the runbooks are for whoever has no checkout at hand.
const runbookURL = "https://github.com/cleave-go/cleave/blob/main/docs/runbooks/"

// shippedAlert is an alert in a file of rules.
type shippedAlert struct {
	Alert               string
	Labels, Annotations map[string]string
}

// alerts returns all that are shipped.
func alerts(t testing.TB) []shippedAlert {
	t.Helper()
	var all []shippedAlert
	for _, path := range glob(t, shipped+"prometheus/rules/*.yml") {
		var file struct {
			Groups []struct{ Rules []shippedAlert }
		}
		if err := yaml.Unmarshal([]byte(read(t, path)), &file); err != nil {
			t.Fatal(err)
		}
		for _, group := range file.Groups {
			for _, rule := range group.Rules {
				if rule.Alert != "" {
					all = append(all, rule)
				}
			}
		}
	}
	return all
}

// TestAlerts holds that whoever is told of an alert learns what it means and what to do, and that cases show when it fires and when not.
func TestAlerts(t *testing.T) {
	t.Parallel()
	fires, silent := cases(t)
	known := map[string]bool{}
	for _, a := range alerts(t) {
		known[a.Alert] = true
		severity := a.Labels["severity"]
		if a.Annotations["summary"] == "" || !slices.Contains([]string{"page", "ticket"}, severity) && a.Alert != "Watchdog" {
			t.Errorf("%s has no summary, or is neither page nor ticket but %q", a.Alert, severity)
		}
		if want := runbookURL + a.Alert + ".md"; a.Annotations["runbook_url"] != want {
			t.Errorf("%s has the runbook %q, not %s", a.Alert, a.Annotations["runbook_url"], want)
		}
		if !fires[a.Alert+" "+severity] {
			t.Errorf("no case has %s fire as a %s", a.Alert, severity)
		}
		if !silent[a.Alert] && a.Alert != "Watchdog" {
			t.Errorf("no case has %s not fire", a.Alert)
		}
	}
	for _, path := range glob(t, runbooks+"*.md") {
		if name := strings.TrimSuffix(strings.TrimPrefix(path, runbooks), ".md"); !known[name] && name != "README" && name != "post-mortem" {
			t.Errorf("%s is of no alert", path)
		}
	}
	index := read(t, runbooks+"README.md")
	for name := range known {
		text := read(t, runbooks+name+".md")
		if !strings.Contains(index, "("+name+".md)") {
			t.Errorf("docs/runbooks/README.md does not name %s", name)
		}
		at := 0
		for _, part := range []string{"# " + name + "\n", "\n## Meaning\n", "\n## Impact\n", "\n## Look first\n", "\n## Act\n", "\n## Escalate\n", "\n## Over when\n"} {
			found := strings.Index(text[at:], part)
			if found < 0 {
				t.Errorf("%s.md has no %q where it belongs", name, strings.TrimSpace(part))
				continue
			}
			at += found
		}
	}
}

// cases returns which alerts promtool's cases have fire, by name and severity, and which not.
func cases(t testing.TB) (fires, silent map[string]bool) {
	t.Helper()
	fires, silent = map[string]bool{}, map[string]bool{}
	for _, path := range glob(t, shipped+"prometheus/tests/*.yml") {
		var file struct {
			Tests []struct {
				Checks []struct {
					Name string `yaml:"alertname"`
					Want []struct {
						Labels map[string]string `yaml:"exp_labels"`
					} `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		if err := yaml.Unmarshal([]byte(read(t, path)), &file); err != nil {
			t.Fatal(err)
		}
		for _, test := range file.Tests {
			for _, check := range test.Checks {
				for _, want := range check.Want {
					fires[check.Name+" "+want.Labels["severity"]] = true
				}
				if len(check.Want) == 0 {
					silent[check.Name] = true
				}
			}
		}
	}
	return fires, silent
}

// TestStreams holds that streams, which last as long as somebody watches, are called so that the rules leave them out, and nothing else is.
func TestStreams(t *testing.T) {
	t.Parallel()
	left := regexp.MustCompile(`rpc_method!~"([^"]+)"`).FindStringSubmatch(read(t, shipped+"prometheus/rules/calls.yml"))
	if left == nil {
		t.Fatal("the rules leave no method out")
	}
	streams := regexp.MustCompile("^(?:" + left[1] + ")$")
	found := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(file.Package()), "cleave.") {
			return true
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				found++
				if m.IsStreamingServer() != streams.MatchString(string(m.Name())) {
					t.Errorf("%s: the rules take methods for streams by their names, and are wrong about this one: name it otherwise, or change what rules and dashboards leave out", m.FullName())
				}
			}
		}
		return true
	})
	if found == 0 {
		t.Error("there are no contracts")
	}
}

var command = regexp.MustCompile(`(?m)^    (cleave(?: [a-z]+\b)+)(.*)$`)

// TestCommands holds that the commands in the runbooks exist, with their flags.
func TestCommands(t *testing.T) {
	t.Parallel()
	binary := topology.NewBinaries(t).Build(t, "cmd/cleave")
	tried := map[string]bool{}
	for _, path := range glob(t, runbooks+"*.md") {
		for _, found := range command.FindAllStringSubmatch(read(t, path), -1) {
			words := strings.Fields(found[1])[1:]
			var flags []string
			rest, _, _ := strings.Cut(found[2], "#")
			rest, _, _ = strings.Cut(rest, "|") // What follows is another's.
			for _, word := range strings.Fields(rest) {
				if strings.HasPrefix(word, "--") {
					flags = append(flags, strings.SplitN(word, "=", 2)[0])
				}
			}
			name := strings.Join(append(words, flags...), " ")
			if tried[name] {
				continue
			}
			tried[name] = true
			r, code := topology.Run(t, topology.Program{Name: "cleave", Binary: binary, Args: append(slices.Clone(words), "--help")})
			help := r.Stdout()
			// Words after the command are its arguments: names of modules, most often.
			_, usage, _ := strings.Cut(help, "Usage:\n  cleave ")
			usage, _, _ = strings.Cut(usage, "\n")
			shown := strings.Fields(regexp.MustCompile(`[\[A-Z].*`).ReplaceAllString(usage, ""))
			if code != 0 || len(shown) == 0 || !slices.Equal(shown, words[:min(len(shown), len(words))]) || len(words) > len(shown) && !strings.Contains(usage, "MODULE") {
				t.Errorf("%s: there is no command cleave %s: its help ends with %d and says %q", path, strings.Join(words, " "), code, usage)
			}
			for _, flag := range flags {
				if !strings.Contains(help, flag+" ") {
					t.Errorf("%s: cleave %s has no flag %s", path, strings.Join(words, " "), flag)
				}
			}
		}
	}
	if len(tried) == 0 {
		t.Error("no runbook has a command")
	}
}
