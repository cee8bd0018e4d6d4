package saga

// phase is where a saga goes.
type phase string

const (
	forward phase = "forward"
	back    phase = "back"
	done    phase = "done"   // every step was done
	undone  phase = "undone" // every step that may have been done was undone
)

// record is where a saga is. It knows neither database nor clock: next says what to do, and after what has become of the saga then.
//
// Forward, the steps before position have been done and the one at position may have begun: it is not written down before it
// begins. Back, the steps after position have been undone and the one at position may have been.
type record struct {
	steps    int
	phase    phase
	position int
	reason   string // why it goes back
	attempt  int    // how often the present step has failed or waited
	stuck    bool   // only a person gets it on
}

// action is what to do next.
type action struct {
	step int
	undo bool
}

// next says what to do, if there is anything.
func (r record) next() (a action, more bool) {
	if r.stuck || r.phase == done || r.phase == undone {
		return action{}, false
	}
	return action{step: r.position, undo: r.phase == back}, true
}

// outcome is how an action ended.
type outcome int

const (
	succeeded outcome = iota
	refused           // for good
	waiting           // Not known yet: the same question is asked again.
	failed            // for a reason that passes
	gaveUp            // A person has to look at it.
)

// after returns the record when the next action has ended like this.
func (r record) after(o outcome, reason string) record {
	switch {
	case o == gaveUp:
		r.stuck = true
	case o == succeeded && r.phase == forward:
		r.attempt = 0
		if r.position++; r.position == r.steps {
			r.phase = done
		}
	case o == succeeded:
		r.attempt = 0
		if r.position--; r.position < 0 {
			r.phase = undone
		}
	case o == refused && r.phase == forward:
		// The step itself is undone too: its refusal may have overtaken an earlier attempt that is still on its way.
		r.phase, r.reason, r.attempt = back, reason, 0
	default: // An undo that is refused is tried again: nobody else gives back what was taken.
		r.attempt++
	}
	return r
}

// turned returns the record when somebody wants it undone. The last wish is the reason that stays.
func (r record) turned(reason string) record {
	switch r.phase {
	case undone:
		return r
	case done:
		r.position = r.steps - 1
	}
	r.phase, r.reason, r.attempt, r.stuck = back, reason, 0, false
	return r
}
