package sagatest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cleave-go/cleave/platform/saga"
	"github.com/cleave-go/cleave/platform/saga/internal/course"
)

// move is what may happen next.
type move struct {
	kind  kind
	of    int // the driver, the saga, or the move of the world
	fault bool
	// chosen are the answers that May has given.
	chosen []bool
}

// answers returns what May answers while the move is made, and counts how often it is asked.
func (mv move) answers(asked *int) func(string) bool {
	return func(string) bool {
		*asked++
		return *asked <= len(mv.chosen) && mv.chosen[*asked-1]
	}
}

type kind int

const (
	proceed     kind = iota // A driver's call is carried out and answered, or its boundary is written.
	again                   // A driver runs a step that has failed once more.
	loseRequest             // A driver's call fails, and is not carried out.
	loseReply               // A driver's call fails, and was carried out.
	delay                   // A driver's call fails, and may be carried out later.
	kill                    // A driver is killed.
	killLate                // A driver is killed, and its call may be carried out later.
	loseCommit              // A driver's boundary is written, but it is not told.
	overtake                // A saga is taken over by another driver.
	wish                    // Somebody wants a saga undone that is driven.
	turn                    // Somebody wants a saga undone that is not, and drives it.
	crash                   // The database crashes, and has lost a boundary that did not wait for the disk.
	stir                    // Something happens in the world.
)

// moves returns what may happen next, and whether nothing has to.
func (m Model[W, S]) moves(n *node[W]) (moves []move, end bool) {
	end = true
	add := func(k kind, of int) {
		moves, end = append(moves, move{kind: k, of: of}), false
	}
	fault := func(of int, kinds ...kind) {
		if n.faults < m.Faults {
			for _, k := range kinds {
				moves = append(moves, move{kind: k, of: of, fault: true})
			}
		}
	}
	for i := range n.drivers {
		d := &n.drivers[i]
		add(proceed, i)
		if d.failed() && d.tries == 0 {
			add(again, i)
		}
		if i != n.holder(d.saga) {
			continue // Nobody follows it: that it is killed, or not answered, is as if it had been killed before.
		}
		if d.call != "" {
			fault(i, loseRequest, loseReply, delay, kill, killLate)
		} else {
			fault(i, loseCommit, kill)
		}
	}
	world := n.ofWorld()
	var waiting []int
	for i := range n.sagas {
		k := &n.sagas[i]
		driven := n.holder(i) >= 0 && k.leased
		if _, more := k.Next(); more {
			switch {
			case driven:
				fault(i, overtake) // It is taken for dead.
			case !k.leased && k.asked == world:
				waiting = append(waiting, i)
			default:
				add(overtake, i)
			}
		}
		if k.onDisk != nil {
			fault(i, crash)
		}
		if m.Cancel != nil && !k.wished && k.Phase != course.Undone {
			if k.leased {
				moves = append(moves, move{kind: wish, of: i})
			}
			if driven {
				fault(i, turn)
			} else {
				moves = append(moves, move{kind: turn, of: i})
			}
		}
	}
	if m.Moves != nil {
		for i, own := range m.Moves(n.world) {
			if own.Fault {
				fault(i, stir)
			} else {
				add(stir, i)
			}
		}
	}
	// Whoever waits asks again when something has happened. Where nothing else can happen, anyway.
	last := end
	for _, i := range waiting {
		if last {
			add(overtake, i)
		} else {
			fault(i, overtake)
		}
	}
	return moves, end
}

// do makes a move, and tells of it if somebody listens. The error is something that must not happen.
func (m Model[W, S]) do(n *node[W], mv move, choose func(what string) bool, told *[]string) error {
	tell := func(format string, args ...any) {
		if told != nil {
			*told = append(*told, fmt.Sprintf(format, args...))
		}
	}
	n.fingerprinted = ""
	if mv.fault {
		n.faults++
	}
	var chosen []string
	may := func(what string) bool {
		if n.faults >= m.Faults || !choose(what) {
			return false
		}
		n.faults++
		chosen = append(chosen, what)
		return true
	}
	defer func() {
		for _, what := range chosen {
			tell("\tand there %s", what)
		}
	}()
	switch mv.kind {
	case overtake:
		k := &n.sagas[mv.of]
		k.fence++
		k.leased = true
		n.flush()
		tell("driver %d takes %s over", k.fence, k.id)
		m.drive(n, mv.of)
		return nil
	case wish, turn:
		k := &n.sagas[mv.of]
		k.wished = true
		reason := m.Cancel(n.world, k.id)
		if reason == "" {
			tell("somebody wants %s undone, in vain", k.id)
			return nil
		}
		m.cancel(n, mv, reason, tell)
		return nil
	case crash:
		k := &n.sagas[mv.of]
		tell("the database crashes and has lost the last boundary of %s", k.id)
		*k = *k.onDisk
		return nil
	case stir:
		own := m.Moves(n.world)[mv.of]
		tell("%s", own.Name)
		own.Do(context.WithValue(context.Background(), runKey{}, &run{may: may}))
		return nil
	}
	d := &n.drivers[mv.of]
	by := fmt.Sprintf("driver %d of %s", d.row.fence, d.row.id)
	gone := func() { n.drivers = slices.Delete(n.drivers, mv.of, mv.of+1) }
	switch mv.kind {
	case proceed:
		switch {
		case d.late:
			tell("%s arrives late", d.call)
			m.follow(n, d, toAnswer, may)
			gone()
		case d.call != "":
			tell("%s: %s", by, d.call)
			m.follow(n, d, toAnswer, may)
		default:
			return m.boundary(n, mv.of, false, tell)
		}
	case again:
		tell("%s runs the step again", by)
		d.tries++
		m.begin(n, d)
	case loseRequest:
		tell("%s: %s, and the request is lost", by, d.call)
		m.follow(n, d, toLoseRequest, may)
	case loseReply:
		tell("%s: %s, and the reply is lost", by, d.call)
		m.follow(n, d, toLoseReply, may)
	case delay:
		tell("%s: %s, and it gets no answer, but the request may arrive later", by, d.call)
		sent := *d
		sent.late = true
		m.follow(n, d, toLoseRequest, may)
		n.drivers = append(n.drivers, sent)
	case kill:
		tell("%s is killed before %s", by, d.before())
		gone()
	case killLate:
		tell("%s is killed, but its request %s may arrive later", by, d.call)
		d.late = true
	case loseCommit:
		return m.boundary(n, mv.of, true, tell)
	}
	return nil
}

// before says what a driver is about to do.
func (d *driver) before() string {
	if d.call == "" {
		return "its boundary"
	}
	return d.call
}

// drive begins what a driver does that has taken a saga.
func (m Model[W, S]) drive(n *node[W], s int) {
	n.drivers = append(n.drivers, driver{saga: s, row: n.sagas[s]})
	m.resume(n, len(n.drivers)-1)
}

// resume goes on with what a driver knows of its saga, if something is left to do.
func (m Model[W, S]) resume(n *node[W], i int) {
	d := &n.drivers[i]
	if d.row.wish != "" { // Its last driver did not live to find it.
		d.row.Record = d.row.Turned(d.row.wish)
	}
	if _, more := d.row.Next(); !more {
		n.drivers = slices.Delete(n.drivers, i, i+1)
		return
	}
	d.tries = 0
	m.begin(n, d)
}

// begin begins a step.
func (m Model[W, S]) begin(n *node[W], d *driver) {
	if m.FreshKeys {
		n.runs++
		d.run = n.runs
	}
	d.replies = nil
	m.follow(n, d, toStop, nil)
}

// cancel turns a saga back as Cancel of package saga does.
func (m Model[W, S]) cancel(n *node[W], mv move, reason string, tell func(string, ...any)) {
	k := &n.sagas[mv.of]
	k.cancelled = true
	n.flush()
	if mv.kind == wish {
		k.wish = reason
		tell("somebody wants %s undone", k.id)
		return
	}
	k.Record, k.wish = k.Turned(reason), ""
	k.number++
	k.fence++
	k.leased = true
	tell("somebody wants %s undone, and is driver %d", k.id, k.fence)
	m.drive(n, mv.of)
}

// flush has everything on disk that was written.
func (n *node[W]) flush() {
	for i := range n.sagas {
		n.sagas[i].onDisk = nil
	}
}

// boundary writes what has become of a saga, if the guard lets it, as a driver of package saga does. If the commit is lost on the driver,
// it is going to try again.
func (m Model[W, S]) boundary(n *node[W], i int, lost bool, tell func(string, ...any)) error {
	d := &n.drivers[i]
	k := &n.sagas[d.saga]
	action, _ := d.row.Next()
	step := d.row.Steps[action.Step]
	o, note := d.outcome()
	now := d.row
	now.Record, now.state = d.row.After(o, note), d.state
	wished := false
	by := fmt.Sprintf("driver %d of %s", d.row.fence, d.row.id)
	switch {
	case m.Unguarded || k.fence == d.row.fence && k.number == d.row.number && k.wish == d.row.wish:
	case k.fence != d.row.fence:
		tell("%s is refused its boundary", by)
		n.drivers = slices.Delete(n.drivers, i, i+1)
		return nil
	case k.number != d.row.number:
		tell("%s finds another boundary than it knows", by)
		d.row = *k
		m.goOn(n, i)
		return nil
	default:
		now.Record, wished = now.Turned(k.wish), true
	}
	was := *k
	k.Record, k.state, k.wish = now.Record, now.state, ""
	k.number++
	_, more := k.Next()
	k.leased = more && k.Attempt == 0
	k.asked = ""
	if !d.row.MayBeLost(o) {
		n.flush()
	} else if k.onDisk == nil {
		k.onDisk = &was
	}
	c := saga.Change[S]{
		ID: k.id, Step: step.Name, What: saga.What(o.Word(action.Undo, wished)), Note: note, Reason: k.Reason, Done: k.Phase == course.Done, Undone: k.Phase == course.Undone,
	}
	tell("%s writes %s %s: it is %s at %d %s", by, c.What, c.Step, k.Phase, k.Position, k.Reason)
	if err := m.told(n, c, k.state); err != nil {
		return fmt.Errorf("boundary of saga %s: %w", k.id, err)
	}
	if o == course.Waiting {
		k.asked = n.ofWorld()
	}
	if lost {
		tell("\tbut is not told that it did")
		return nil
	}
	d.row.Record, d.row.state, d.row.wish = k.Record, k.state, ""
	d.row.number++
	m.goOn(n, i)
	return nil
}

// goOn goes on after a boundary, or leaves the saga to whoever finds it due.
func (m Model[W, S]) goOn(n *node[W], i int) {
	if d := &n.drivers[i]; d.row.Attempt > 0 {
		n.drivers = slices.Delete(n.drivers, i, i+1)
		return
	}
	m.resume(n, i)
}

// told tells the module of a boundary.
func (m Model[W, S]) told(n *node[W], c saga.Change[S], state string) error {
	if m.Boundary == nil {
		return nil
	}
	if err := json.Unmarshal([]byte(state), &c.State); err != nil {
		return err
	}
	return m.Boundary(n.world, c)
}
