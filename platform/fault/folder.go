package fault

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Folder is where a test arms places for processes that run, by their CLEAVE_FAULT_DIR. All processes of a house may share one.
type Folder string

// Arm lets the first process that gets to the place do what it says, "kill" or "pause". A process that is started again afterwards
// passes the place.
func (f Folder) Arm(place, what string) error {
	// A link is there as a whole or not at all, and says what it says by its target.
	if err := os.Symlink(what, f.file("armed", place)); err != nil {
		return fmt.Errorf("arm %s: %w", place, err)
	}
	return nil
}

// Armed reports whether nobody has got to an armed place yet.
func (f Folder) Armed(place string) bool {
	_, err := os.Readlink(f.file("armed", place))
	return err == nil
}

// Passed returns the places that processes have got to.
func (f Folder) Passed() ([]string, error) {
	files, err := filepath.Glob(f.file("passed", "") + "*")
	if err != nil {
		return nil, err
	}
	places := make([]string, len(files))
	for i, file := range files {
		if places[i], err = url.PathUnescape(strings.TrimPrefix(filepath.Base(file), "passed-")); err != nil {
			return nil, err
		}
	}
	return places, nil
}

// take returns what is armed at a place, to one caller only.
func (f Folder) take(place string) (what string, armed bool) {
	what, err := os.Readlink(f.file("armed", place))
	return what, err == nil && os.Remove(f.file("armed", place)) == nil
}

// pass writes down that a process got to a place.
func (f Folder) pass(place string) error {
	return os.WriteFile(f.file("passed", place), nil, 0o644)
}

func (f Folder) file(what, place string) string {
	return filepath.Join(string(f), what+"-"+url.PathEscape(place))
}
