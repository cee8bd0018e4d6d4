// Package course holds the rules by which a saga moves from step to step, there and back. It is apart from package saga so that
// platform/saga/sagatest takes every course a saga can take by the very rules by which a driver moves.
//
// It owns what comes next. It does not own where that is written down, nor who may: the lease, the fence and the wish are the driver's.
package course

// Phase is where a saga goes.
type Phase string

// The words are those of the table.
const (
	Forward Phase = "forward"
	Back    Phase = "back"
	Done    Phase = "done"   // every step was done
	Undone  Phase = "undone" // every step that may have been done was undone
)

// Record is where a saga is. It knows neither database nor clock: Next says what to do, and After what has become of the saga then.
//
// Forward, the steps before position have been done and the one at position may have begun: it is not written down before it
// begins. Where that one is quiet, it may have been done and the next one may have begun: what was written down may have been lost.
// Back, the steps after position have been undone and the one at position may have been.
type Record struct {
	Steps    []Step
	Phase    Phase
	Position int
	Reason   string // why it goes back
	Attempt  int    // how often the present step has failed or waited
	Stuck    bool   // only a person gets it on
}

// Step is what matters of a step.
type Step struct {
	Name  string
	Quiet bool // What is written down when it is done may be lost.
}

// Action is what to do next.
type Action struct {
	Step int
	Undo bool
}

// Next says what to do, if there is anything.
func (r Record) Next() (a Action, more bool) {
	if r.Stuck || r.Phase == Done || r.Phase == Undone {
		return Action{}, false
	}
	return Action{Step: r.Position, Undo: r.Phase == Back}, true
}

// Outcome is how an action ended.
type Outcome int

// The outcomes of an action.
const (
	Succeeded Outcome = iota
	Refused           // for good
	Waiting           // Not known yet: the same question is asked again.
	Failed            // for a reason that passes
	GaveUp            // A person has to look at it.
)

// Word returns what the timeline and the module are told of an outcome: one of the words of package saga. Wished says that somebody
// wanted the saga undone meanwhile: then nobody has to look, because it goes on.
func (o Outcome) Word(undo, wished bool) string {
	switch {
	case o == Succeeded && undo:
		return "undid"
	case o == Succeeded:
		return "did"
	case o == Waiting:
		return "waiting"
	case o == GaveUp && wished, o == Refused && !undo:
		return "turned back"
	case o == GaveUp:
		return "stuck"
	default:
		return "failed"
	}
}

// MayBeLost reports whether what is written down when the next action has ended like this may be lost: then the action is done again.
func (r Record) MayBeLost(o Outcome) bool {
	return o == Succeeded && r.Phase == Forward && r.Steps[r.Position].Quiet
}

// begun returns the last step that may have begun, on the way forward.
func (r Record) begun() int {
	i := r.Position
	for i < len(r.Steps)-1 && r.Steps[i].Quiet {
		i++
	}
	return i
}

// After returns the record when the next action has ended like this.
func (r Record) After(o Outcome, reason string) Record {
	switch {
	case o == GaveUp:
		r.Stuck = true
	case o == Succeeded && r.Phase == Forward:
		r.Attempt = 0
		if r.Position++; r.Position == len(r.Steps) {
			r.Phase = Done
		}
	case o == Succeeded:
		r.Attempt = 0
		if r.Position--; r.Position < 0 {
			r.Phase = Undone
		}
	case o == Refused && r.Phase == Forward:
		// The step itself is undone too: its refusal may have overtaken an earlier attempt that is still on its way.
		r.Position = r.begun()
		r.Phase, r.Reason, r.Attempt = Back, reason, 0
	default: // An undo that is refused is tried again: nobody else gives back what was taken.
		r.Attempt++
	}
	return r
}

// Turned returns the record when somebody wants it undone. The last wish is the reason that stays, also if it comes when the last step
// has just been undone.
func (r Record) Turned(reason string) Record {
	switch r.Phase {
	case Undone:
		r.Reason = reason
		return r
	case Forward:
		r.Position = r.begun()
	case Done:
		r.Position = len(r.Steps) - 1
	}
	r.Phase, r.Reason, r.Attempt, r.Stuck = Back, reason, 0, false
	return r
}
