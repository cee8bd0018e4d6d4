package kill

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/saga"
	"github.com/cleave-go/cleave/platform/topology"
)

// place is where a process is stopped, and what brings it there.
type place struct {
	name   string
	course *course
}

// places are all there are. That none is missing is held by those that the houses pass, see [complete].
var places = slices.Concat(
	at(bought, filter(saga.Points("checkout", "reserve", "authorize", "commit", "capture"), "/undo-", false)...),
	at(declined, filter(saga.Points("checkout", "reserve", "authorize"), "/undo-", true)...),
	at(returned, filter(saga.Points("checkout", "commit", "capture"), "/undo-", true)...),
	at(bought, "orders/place/committed", "inventory/reserve/committed", "inventory/commit/committed"),
	at(declined, "inventory/release/committed"),
	at(returned, "orders/cancel/committed"),
	at(bought, payments("authorize", "capture")...),
	at(returned, payments("refund")...),
	at(stopped, payments("void")...),
	at(sent, filter(slices.Concat(saga.Points("fulfillment", "ship"), saga.Points("reversal", "goods", "refund")), "/undo-", false)...),
	at(sent, "orders/fulfill/committed", "orders/cancel-rest/committed", "orders/return/committed", "inventory/ship/committed", "inventory/return/committed"),
	at(bought, "event/deliver/applied", "event/inbox/committed", "notifications/send/answered"),
)

func at(c *course, names ...string) []place {
	list := make([]place, len(names))
	for i, name := range names {
		list[i] = place{name: name, course: c}
	}
	return list
}

// filter returns the names that have the part in them, or those that have not.
func filter(names []string, part string, with bool) []string {
	return slices.DeleteFunc(names, func(name string) bool { return strings.Contains(name, part) != with })
}

// payments returns the places around what the provider is asked for.
func payments(kinds ...string) []string {
	var names []string
	for _, kind := range kinds {
		for _, moment := range []string{"written", "answered", "stored"} {
			names = append(names, "payments/"+kind+"/"+moment)
		}
	}
	return names
}

// complete holds that every place that a house has passed, and every one that the sources name, is one that processes are killed at. That
// each of those is reached is held by its case.
func complete(t *testing.T, passed []string) {
	known := map[string]bool{importBatch: true, auditBatch: true}
	for _, p := range places {
		known[p.name] = true
	}
	named := namedInSources(t)
	if len(named) == 0 || len(passed) == 0 {
		t.Fatal("there are no places in the sources, or none was passed: the test looks at the wrong thing")
	}
	for _, name := range append(named, passed...) {
		if !known[name] {
			t.Errorf("no process is killed at %s: add it to places, with a course that gets there", name)
		}
	}
}

// namedInSources returns the places that are written out in the sources of the product.
func namedInSources(t *testing.T) []string {
	root, err := topology.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	point := regexp.MustCompile(`fault\.Point\("([^"]+)"\)`)
	var names []string
	for _, folder := range []string{"modules", "platform", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			for lines := bufio.NewScanner(file); lines.Scan(); {
				if match := point.FindStringSubmatch(lines.Text()); match != nil && !strings.HasPrefix(strings.TrimSpace(lines.Text()), "//") {
					names = append(names, match[1])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}
