package test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cleave-go/cleave/platform/topology"
)

// scenario is something that customers do.
type scenario struct {
	name string
	// protocol is what the customer speaks.
	protocol protocol
	play     func(v *visit)
}

// scenarios is the table. Each is in the file of its subject.
var scenarios = slices.Concat(orderScenarios, cancelScenarios, quoteScenarios, repeatScenarios, watchScenarios, inputScenarios, doorScenarios, browseScenarios, mailScenarios, restScenarios, abuseScenarios, fulfilScenarios, guestScenarios, stockScenarios)

func TestScenarios(t *testing.T) {
	binaries := topology.NewBinaries(t)
	seen := &notes{byHouse: map[string]map[string][]string{}}
	t.Run("in", func(t *testing.T) {
		for _, layout := range layouts {
			t.Run(layout.Name, func(t *testing.T) {
				t.Parallel()
				shop := layout.Open(t, binaries, layout.options)
				shop.Seed(t)
				t.Run("scenario", func(t *testing.T) {
					for _, s := range scenarios {
						t.Run(s.name, func(t *testing.T) {
							t.Parallel()
							v := enter(t, shop, s.protocol)
							s.play(v)
							seen.keep(layout.Name, s.name, v.seen)
						})
					}
				})
				t.Run("tools", func(t *testing.T) { tools(t, shop, binaries) })
				if layout.faults {
					t.Run("fault", func(t *testing.T) { faults(t, shop) })
				}
				t.Run("log", func(t *testing.T) { sober(t, shop) })
			})
		}
	})
	for _, difference := range seen.differences() {
		t.Error(difference)
	}
}

// sober holds that nothing of all this was an error of the house's own: refusals and dead parts are none.
func sober(t *testing.T, s *shop) {
	for line := range strings.Lines(s.Logs()) {
		for _, word := range []string{`"level":"ERROR"`, "panic", "unknown setting"} {
			if strings.Contains(line, word) {
				t.Errorf("the log says %s", line)
			}
		}
	}
}

// notes are what was seen in each house.
type notes struct {
	mu      sync.Mutex
	byHouse map[string]map[string][]string // by layout and scenario
}

// keep keeps what a scenario that was played to its end has seen.
func (n *notes) keep(layout, scenario string, seen []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byHouse[layout] == nil {
		n.byHouse[layout] = map[string][]string{}
	}
	n.byHouse[layout][scenario] = seen
}

// differences tells which scenarios have not seen the same in every house where they were played to their end.
func (n *notes) differences() []string {
	var found []string
	reference := layouts[0].Name
	for _, layout := range layouts[1:] {
		for scenario, here := range n.byHouse[layout.Name] {
			if there, played := n.byHouse[reference][scenario]; played && !slices.Equal(here, there) {
				found = append(found, fmt.Sprintf("%q is not the same everywhere:\n%s:\n  %s\n%s:\n  %s", scenario,
					reference, strings.Join(there, "\n  "), layout.Name, strings.Join(here, "\n  ")))
			}
		}
	}
	return found
}

// TestNotes holds that a difference between two houses is found.
func TestNotes(t *testing.T) {
	t.Parallel()
	seen := &notes{byHouse: map[string]map[string][]string{}}
	for i, layout := range layouts {
		seen.keep(layout.Name, "alike", []string{"an order: confirmed"})
		seen.keep(layout.Name, "different", []string{"an order: confirmed", fmt.Sprintf("a payment: %d", i/2)})
	}
	seen.keep(layouts[1].Name, "played in one house only", nil)
	if found := seen.differences(); len(found) != 1 || !strings.HasPrefix(found[0], `"different" is not the same everywhere`) {
		t.Errorf("found %q", found)
	}
}

// ids are what differs between two orders that are alike.
var ids = regexp.MustCompile(`\b([a-z]{2,3})_[0-9a-f]{32}\b`)

// saw notes something that must be the same in every house.
func (v *visit) saw(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	text := ids.ReplaceAllString(fmt.Sprintf(format, args...), "${1}_…")
	// The protobuf library puts another kind of space into its error texts in some binaries, so that nobody compares them.
	v.seen = append(v.seen, strings.ReplaceAll(text, "\u00a0", " "))
}
