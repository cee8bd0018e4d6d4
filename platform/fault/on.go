//go:build cleave_fault

package fault

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// Enabled says whether this binary was built with the tag cleave_fault.
const Enabled = true

// what is what happens at a place.
type what struct {
	act  func()
	once sync.Once
}

var (
	faults = parse(os.Getenv("CLEAVE_FAULT"))
	folder = Folder(os.Getenv("CLEAVE_FAULT_DIR"))
	passed sync.Map // The places that this process has written down.
	bugs   = strings.Split(os.Getenv("CLEAVE_BUG"), ",")
)

// parse reads "place=kill,place=pause".
func parse(text string) map[string]*what {
	faults := map[string]*what{}
	for entry := range strings.SplitSeq(text, ",") {
		if place, act, _ := strings.Cut(entry, "="); entry != "" {
			faults[place] = &what{act: action(act)}
		}
	}
	return faults
}

// action returns what a text says. One that it does not understand ends the process: a test that asks for nothing proves nothing.
func action(text string) func() {
	switch text {
	case "kill":
		return kill
	case "pause":
		return pause
	}
	panic(fmt.Sprintf("a fault is kill or pause, not %q", text))
}

// Point is a place at which a test may stop the process.
func Point(place string) {
	if f := faults[place]; f != nil {
		f.once.Do(func() { do(place, f.act) })
	}
	if folder == "" {
		return
	}
	if _, known := passed.LoadOrStore(place, true); !known {
		if err := folder.pass(place); err != nil {
			panic(err)
		}
	}
	if text, armed := folder.take(place); armed {
		do(place, action(text))
	}
}

func do(place string, act func()) {
	fmt.Fprintln(os.Stderr, "fault at", place)
	act()
}

// Bug reports whether a test wants a known mistake.
func Bug(name string) bool { return slices.Contains(bugs, name) }
