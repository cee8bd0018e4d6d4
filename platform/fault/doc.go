// Package fault lets a test stop a process at a named place, or bring a known mistake back into it. Only a binary that was built with
// the tag cleave_fault can be made to do so; in every other one the functions of this package are empty and cost nothing.
//
// A test names a place and what happens there, and it happens once, the first time that a process gets there:
//
//	CLEAVE_FAULT="checkout/reserve/done=kill"  the process ends at once, as by kill -9
//	CLEAVE_FAULT="checkout/reserve/done=pause" the process as a whole stands still until somebody continues it, as by kill -STOP and -CONT
//	CLEAVE_FAULT_DIR=/folder                   what the test arms there while the processes run, see [Folder]
//
// and names mistakes in CLEAVE_BUG, which are made as long as the process lives. They prove that the tests and `cleave verify` would
// notice them.
//
// It owns no list of places or mistakes: each is named where it happens, as "<work>/<step>/<moment>", so that a search for the name
// finds it. Which places a process has passed it writes to the folder, so that a test can tell which it has forgotten.
package fault

// Tag is the build tag that lets a test stop the process or bring a mistake back.
const Tag = "cleave_fault"
