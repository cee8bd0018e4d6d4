//go:build cleave_fault

package fault

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Enabled says whether this binary was built with the tag cleave_fault.
const Enabled = true

// fault is what happens at a place.
type fault struct {
	act  func()
	once sync.Once
}

var (
	faults = parse(os.Getenv("CLEAVE_FAULT"))
	bugs   = strings.Split(os.Getenv("CLEAVE_BUG"), ",")
)

// parse reads "place=kill,place=pause:8s". A text that it does not understand ends the process: a test that asks for nothing proves
// nothing.
func parse(text string) map[string]*fault {
	faults := map[string]*fault{}
	for entry := range strings.SplitSeq(text, ",") {
		if entry == "" {
			continue
		}
		place, what, _ := strings.Cut(entry, "=")
		what, length, _ := strings.Cut(what, ":")
		f := &fault{}
		switch what {
		case "kill":
			f.act = kill
		case "pause":
			d, err := time.ParseDuration(length)
			if err != nil {
				panic("CLEAVE_FAULT: " + err.Error())
			}
			f.act = func() { pause(d) }
		default:
			panic("CLEAVE_FAULT: " + entry + " is neither kill nor pause:<duration>")
		}
		faults[place] = f
	}
	return faults
}

// Point is a place at which a test may stop the process.
func Point(place string) {
	f := faults[place]
	if f == nil {
		return
	}
	f.once.Do(func() {
		if first(place) {
			fmt.Fprintln(os.Stderr, "fault at", place)
			f.act()
		}
	})
}

// first reports whether no process with the same folder has been here before.
func first(place string) bool {
	folder := os.Getenv("CLEAVE_FAULT_DIR")
	if folder == "" {
		return true
	}
	file, err := os.OpenFile(filepath.Join(folder, url.PathEscape(place)), os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return false
	}
	file.Close()
	return true
}

// Bug reports whether a test wants a known mistake.
func Bug(name string) bool { return slices.Contains(bugs, name) }
