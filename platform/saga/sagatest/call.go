package sagatest

import (
	"context"
	"encoding/json"
	"fmt"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/saga"
)

// Call is how a fake is called by a step: carryOut does in the world what is asked for, and returns the answer. What names the method and
// all of the request that matters: two calls with the same words ask for the same. Answers must not be changed by who gets them.
//
// Whether and when the call is carried out, and whether the step gets the answer, is what the model explores. Outside of a model it is
// just carried out.
func Call[R any](ctx context.Context, what string, carryOut func() (R, error)) (R, error) {
	r, modelled := ctx.Value(runKey{}).(*run)
	if !modelled {
		return carryOut()
	}
	if r.given < len(r.replies) { // The step has come this far before.
		given := r.replies[r.given]
		r.given++
		answer, _ := given.answer.(R)
		return answer, given.err
	}
	if r.deal == toStop {
		r.call = what
		panic(stopped{})
	}
	var answer R
	err := errLost
	if r.deal != toLoseRequest {
		answer, err = carryOut()
	}
	if r.deal == toLoseReply {
		var none R
		answer, err = none, errLost
	}
	r.deal = toStop
	r.replies = append(r.replies, reply{answer, err})
	r.given++
	return answer, err
}

// May is for a fake whose answer depends on chance: it reports whether a fault happens to it here, in all histories in which there may be
// one more. Outside of a model none does.
func May(ctx context.Context, what string) bool {
	r, modelled := ctx.Value(runKey{}).(*run)
	return modelled && r.may(what)
}

// Move is something that may happen in the world by itself, such as a job of whom the steps call.
type Move struct {
	Name string
	// Fault says that it need not happen. Otherwise no history ends before it has.
	Fault bool
	Do    func(ctx context.Context)
}

// errLost is what a caller learns of a call whose request or reply was lost.
var errLost = rpc.Errorf(connect.CodeUnavailable, "", "no answer came")

// reply is what a call has come to.
type reply struct {
	answer any
	err    error
}

// deal is what becomes of the first call that a step has not made before. At the one after that it is stopped.
type deal int

const (
	toStop deal = iota
	toAnswer
	toLoseRequest
	toLoseReply
)

// run is one run of a step, from its beginning. It gets the replies again that it got before.
type run struct {
	replies []reply
	given   int
	deal    deal
	call    string // where it was stopped
	may     func(what string) bool
}

type runKey struct{}

// stopped is what a step panics with where it is stopped.
type stopped struct{}

// follow runs a driver's step again up to the first call after those whose replies it has, deals with that one, and stops at the next or
// at the end of the step.
func (m Model[W, S]) follow(n *node[W], d *driver, what deal, may func(string) bool) {
	action, _ := d.row.Next()
	step := m.Definition(n.world).Steps[action.Step]
	fn := step.Do
	if action.Undo {
		fn = step.Undo
	}
	d.call, d.state, d.err = "", d.row.state, nil
	if fn == nil {
		return
	}
	s := &saga.Run[S]{ID: d.row.id, Key: d.row.id + "/" + step.Name}
	if m.FreshKeys {
		s.Key = fmt.Sprint(s.Key, "/", d.run)
	}
	if err := json.Unmarshal([]byte(d.row.state), &s.State); err != nil {
		panic(err) // It was encoded by us.
	}
	r := &run{replies: d.replies, deal: what, may: may}
	d.err = r.to(func() error { return fn(context.WithValue(context.Background(), runKey{}, r), s) })
	d.replies, d.call = r.replies, r.call
	state, err := json.Marshal(s.State)
	if err != nil {
		panic(err)
	}
	d.state = string(state)
}

// to runs a step until it ends or is stopped.
func (r *run) to(step func() error) (err error) {
	defer func() {
		if p := recover(); p != nil && p != (stopped{}) {
			panic(p)
		}
	}()
	return step()
}
