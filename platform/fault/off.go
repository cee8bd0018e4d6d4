//go:build !cleave_fault

package fault

// Enabled says whether this binary was built with the tag cleave_fault.
const Enabled = false

// Point is a place at which a test may stop the process.
func Point(string) {}

// Bug reports whether a test wants a known mistake.
func Bug(string) bool { return false }
