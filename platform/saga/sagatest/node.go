package sagatest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cleave-go/cleave/platform/saga/internal/course"
)

// node is all there is at one moment of a history.
type node[W World[W]] struct {
	world   W
	sagas   []kept
	drivers []driver
	faults  int // how many there have been
	runs    int // of steps, if each gets a key of its own

	fingerprinted string // the world's fingerprint, if it was asked for since the last move
}

// ofWorld returns the world's fingerprint.
func (n *node[W]) ofWorld() string {
	if n.fingerprinted == "" {
		n.fingerprinted = n.world.Fingerprint()
	}
	return n.fingerprinted
}

// kept is a saga as the database has it.
type kept struct {
	course.Record
	id            string
	state         string
	wish          string
	number, fence int
	leased        bool

	wished    bool // Somebody wanted it undone,
	cancelled bool // and not in vain.
	// asked is the world's fingerprint when the saga began to wait. While it is the same, asking again brings nothing.
	asked string
	// onDisk is what a crash of the database leaves, if that is not this.
	onDisk *kept
}

// driver is a process that is at a saga.
type driver struct {
	saga int
	row  kept // as it knows it
	// replies are what it has been answered in the step at hand, and call is what it will call next. If that is empty the step has ended,
	// with state and err.
	replies []reply
	call    string
	state   string
	err     error
	tries   int // how often the step has failed at once
	run     int
	// late says that nobody waits for the call any more, or for the rest: it is a request that is still on its way.
	late bool
}

func (d *driver) outcome() (course.Outcome, string) { return course.Judge(d.err) }

// failed reports whether the step has ended in a way after which a driver runs it again at once.
func (d *driver) failed() bool {
	o, _ := d.outcome()
	return d.call == "" && (o == course.Failed || o == course.Refused && d.row.Phase == course.Back)
}

func (m Model[W, S]) start() *node[W] {
	n := &node[W]{world: m.World.Clone()}
	for i, id := range slices.Sorted(maps.Keys(m.Sagas)) {
		state, err := json.Marshal(m.Sagas[id])
		if err != nil {
			panic(err)
		}
		var steps []course.Step
		for _, s := range m.Definition(n.world).Steps {
			steps = append(steps, course.Step{Name: s.Name, Quiet: s.Quiet})
		}
		n.sagas = append(n.sagas, kept{Record: course.Record{Steps: steps, Phase: course.Forward}, id: id, state: string(state), fence: 1, leased: true})
		m.drive(n, i)
	}
	return n
}

func (n *node[W]) clone() *node[W] {
	c := *n
	c.world = n.world.Clone()
	c.sagas = slices.Clone(n.sagas)
	c.drivers = slices.Clone(n.drivers)
	for i := range c.drivers { // Two futures must not append to the same replies.
		c.drivers[i].replies = slices.Clip(c.drivers[i].replies)
	}
	return &c
}

// holder returns who drives a saga by right, or -1.
func (n *node[W]) holder(s int) int {
	return slices.IndexFunc(n.drivers, func(d driver) bool { return d.saga == s && !d.late && d.row.fence == n.sagas[s].fence })
}

// fingerprint returns the same for two nodes only if the same can follow.
func (n *node[W]) fingerprint() []byte {
	b := make([]byte, 0, 1024)
	world := n.ofWorld()
	b = append(b, world...)
	b = strconv.AppendInt(b, int64(n.faults), 10)
	for i := range n.sagas {
		k := &n.sagas[i]
		b = k.append(append(b, '\n'))
		b = strconv.AppendBool(b, k.asked == world)
		if k.onDisk != nil {
			b = k.onDisk.append(append(b, '|'))
			b = strconv.AppendInt(b, int64(k.number-k.onDisk.number), 10)
		}
	}
	drivers := make([]string, 0, len(n.drivers))
	for i := range n.drivers {
		drivers = append(drivers, string(n.drivers[i].append(nil, &n.sagas[n.drivers[i].saga])))
	}
	slices.Sort(drivers) // It does not matter who came first.
	for _, d := range drivers {
		b = append(append(b, '\n'), d...)
	}
	return b
}

func (k *kept) append(b []byte) []byte {
	for _, text := range []string{string(k.Phase), k.Reason, k.state, k.wish} {
		b = append(append(b, text...), 0)
	}
	for _, number := range []int{k.Position, k.Attempt} {
		b = append(strconv.AppendInt(b, int64(number), 10), ' ')
	}
	for _, is := range []bool{k.Stuck, k.leased, k.wished, k.cancelled} {
		b = strconv.AppendBool(b, is)
	}
	return b
}

// append appends what a driver is to a saga. Numbers and fences matter only in so far as they are not the saga's.
func (d *driver) append(b []byte, k *kept) []byte {
	b = append(append(b, d.call...), 0)
	if b = strconv.AppendInt(b, int64(d.saga), 10); d.late {
		return append(b, " late"...)
	}
	b = d.row.append(b)
	for _, number := range []int{k.fence - d.row.fence, k.number - d.row.number, d.tries, d.run} {
		b = append(append(b, ' '), strconv.Itoa(number)...)
	}
	for _, r := range d.replies {
		if r.err != nil {
			b = append(append(b, r.err.Error()...), 0)
			continue
		}
		answer, err := json.Marshal(r.answer)
		if err != nil {
			panic(fmt.Sprintf("sagatest: the answer %T must be possible to encode as JSON: %v", r.answer, err))
		}
		b = append(append(b, answer...), 0)
	}
	return b
}

// check asks whether all is right at the end of a history.
func (m Model[W, S]) check(n *node[W]) error {
	var ended []Ended[S]
	for _, k := range n.sagas {
		e := Ended[S]{ID: k.id, Done: k.Phase == course.Done, Undone: k.Phase == course.Undone, Reason: k.Reason, Cancelled: k.cancelled}
		if err := json.Unmarshal([]byte(k.state), &e.State); err != nil {
			return err
		}
		ended = append(ended, e)
	}
	if m.Check == nil {
		return errors.New("the model has no Check")
	}
	return m.Check(n.world, ended)
}

// maxMoves bounds a history. One that is longer does not end.
func (m Model[W, S]) maxMoves() int { return 100*len(m.Sagas) + 20*m.Faults }
