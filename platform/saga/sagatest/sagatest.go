// Package sagatest takes every course that a saga can take, in memory: it runs the Do and Undo of a [saga.Definition], as they are,
// against fakes of whom they call, and whatever can happen in between happens, in every order.
//
// What can happen: a process is killed, before a call or after it and before the boundary; a request or a reply is lost; a request
// arrives late, perhaps after its Undo; a driver is taken for dead and goes on beside the one that has taken over; the answer to a
// boundary's commit is lost; the database crashes and loses a boundary that did not wait for the disk; somebody cancels; and what the
// test adds for its fakes ([Move], [May]). All but what has to happen anyway are faults, and a history has at most [Model.Faults].
//
// [Explore] takes all courses; [Model.Walk] takes one, which may be longer, by choices that a property test draws. At the end of each
// the test is asked whether all is right ([Model.Check]). If it is not, the error is the shortest history that leads there.
//
// It owns what happens and in which order. How a saga moves it has from the driver's own rules; what a driver writes, under which
// guard, and who takes over when, it does as package saga does. It does not own the fakes: they have to keep the contract of whom they
// stand for.
package sagatest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cleave-go/cleave/platform/saga"
)

// World is what the steps change: the fakes of whom they call, in memory.
type World[W any] interface {
	// Clone returns a copy that shares nothing with the world that anybody changes.
	Clone() W
	// Fingerprint returns the same text for two worlds only if nothing will ever tell them apart.
	Fingerprint() string
}

// Model is what is explored.
type Model[W World[W], S any] struct {
	// World is the world before anything has happened.
	World W
	// Definition returns the definition with steps that call the fakes of a world. The steps must do the same when they get the same
	// answers: they know no clock, draw no random numbers and keep nothing but their state.
	Definition func(w W) saga.Definition[S]
	// Sagas are the states with which sagas are started, all at once, by id.
	Sagas map[string]S
	// Check says what is wrong at the end of a history.
	Check func(w W, sagas []Ended[S]) error

	// Boundary stands for the definition's, which needs a database. An error is wrong by itself. It may be nil. The boundary of a quiet
	// step must change nothing in the world that a crash of the database would undo.
	Boundary func(w W, c saga.Change[S]) error
	// Cancel says why a saga shall be undone when somebody wants that, and writes down what it means to the module; "" if it may not be.
	// It may happen once to each saga. If it is nil nobody wants that.
	Cancel func(w W, id string) (reason string)
	// Moves returns what may happen in the world by itself. It may be nil.
	Moves func(w W) []Move

	// Faults is how many there may be in one history.
	Faults int

	// Unguarded lets drivers write without the guard, and FreshKeys gives each run of a step a key of its own. They are for proving that
	// a check finds what that breaks.
	Unguarded, FreshKeys bool
}

// Ended is a saga at the end of a history.
type Ended[S any] struct {
	ID           string
	State        S
	Done, Undone bool // If neither it is stuck: nobody resumes it.
	Reason       string
	Cancelled    bool // Somebody wanted it undone.
}

// Result is what was explored.
type Result struct {
	// Histories is how many there are, States how many different situations they lead through, and Longest how many moves the longest has.
	Histories float64
	States    int
	Longest   int
}

func (r Result) String() string {
	return fmt.Sprintf("%.0f histories of at most %d moves, through %d states", r.Histories, r.Longest, r.States)
}

// Violation is a history that ends wrongly.
type Violation struct {
	Why     error
	History []string
}

// maxTold is how much is told of a history at its beginning, and as much at its end.
const maxTold = 60

func (v *Violation) Error() string {
	told := v.History
	if len(told) > 2*maxTold {
		told = slices.Concat(told[:maxTold], []string{"…"}, told[len(told)-maxTold:])
	}
	return fmt.Sprintf("%v, after:\n\t%s", v.Why, strings.Join(told, "\n\t"))
}

func (v *Violation) Unwrap() error { return v.Why }
