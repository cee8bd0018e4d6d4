package sagatest

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
)

// maxStates bounds what is explored.
const maxStates = 3_000_000

// Explore takes every course of the model. If one goes wrong the error is a *[Violation] with the shortest history that does.
//
// It goes breadth first over states, each of which is a copy of all there is. Two histories that lead to the same state are one from
// there on.
func Explore[W World[W], S any](m Model[W, S]) (Result, error) {
	e := &explorer[W, S]{model: m, seed: maphash.MakeSeed(), ids: map[uint64]int{}}
	e.reach(m.start(), 0, -1, move{})
	for len(e.queue) > 0 {
		at := e.queue[0]
		e.queue = e.queue[1:]
		if err := e.expand(at); err != nil {
			return Result{}, err
		}
		if len(e.states) > maxStates {
			return Result{}, fmt.Errorf("there are more than %d states: allow fewer faults, or make the world smaller", maxStates)
		}
	}
	if err := e.count(0); err != nil {
		return Result{}, err
	}
	return Result{Histories: e.states[0].histories, States: len(e.states), Longest: e.states[0].longest}, nil
}

// explorer is an exploration under way.
type explorer[W World[W], S any] struct {
	model  Model[W, S]
	seed   maphash.Seed
	ids    map[uint64]int // numbers of states, by hash
	states []state
	queue  []reached[W] // states that were found but not looked at
}

// state is what is remembered of a state that was found. States have numbers in that order.
type state struct {
	from int // from which state it was found first, and by which move
	by   move
	next []int // where its moves lead
	end  bool  // A history may end here.
	// histories is how many ways there are to go on from here, 0 until counted, and longest how many moves the longest has.
	histories float64
	longest   int
	counting  bool
}

type reached[W World[W]] struct {
	*node[W]
	id, depth int
}

// reach notes that a move leads to a state, and returns its number.
func (e *explorer[W, S]) reach(n *node[W], depth, from int, by move) int {
	hash := maphash.Bytes(e.seed, n.fingerprint())
	id, known := e.ids[hash]
	if !known {
		id = len(e.states)
		e.ids[hash] = id
		e.states = append(e.states, state{from: from, by: by})
		e.queue = append(e.queue, reached[W]{n, id, depth})
	}
	return id
}

// expand makes every move that is possible in a state.
func (e *explorer[W, S]) expand(at reached[W]) error {
	moves, end := e.model.moves(at.node)
	if end {
		if err := e.model.check(at.node); err != nil {
			return e.violation(err, at.id)
		}
	}
	if at.depth > e.model.maxMoves() {
		return e.violation(errors.New("it does not end"), at.id)
	}
	var next []int
	for _, mv := range moves {
		// A move is made first without any of the faults that May asks for, and then with each of them.
		for variants := [][]bool{nil}; len(variants) > 0; variants = variants[1:] {
			mv.chosen = variants[0]
			n := at.clone()
			asked := 0
			err := e.model.do(n, mv, mv.answers(&asked), nil)
			for i := len(mv.chosen); i < asked; i++ {
				variants = append(variants, append(slices.Clone(mv.chosen), append(make([]bool, i-len(mv.chosen)), true)...))
			}
			if err != nil {
				return e.violation(err, at.id, mv)
			}
			next = append(next, e.reach(n, at.depth+1, at.id, mv))
		}
	}
	e.states[at.id].next, e.states[at.id].end = next, end
	return nil
}

// count counts the histories that go on from a state.
func (e *explorer[W, S]) count(id int) error {
	s := &e.states[id]
	if s.histories > 0 {
		return nil
	}
	if s.counting {
		return e.violation(errors.New("it goes round in a circle"), id)
	}
	s.counting = true
	sum := 0.0
	if s.end {
		sum = 1
	}
	for _, next := range s.next {
		if err := e.count(next); err != nil {
			return err
		}
		sum += e.states[next].histories
		s.longest = max(s.longest, e.states[next].longest+1)
	}
	s.histories = sum
	return nil
}

// violation tells the history of a state, and of the last move if there is one more, by making the moves again.
func (e *explorer[W, S]) violation(why error, id int, last ...move) error {
	moves := last
	for at := id; e.states[at].from >= 0; at = e.states[at].from {
		moves = append(moves, e.states[at].by)
	}
	v := &Violation{Why: why}
	n := e.model.start()
	for _, mv := range slices.Backward(moves) {
		_ = e.model.do(n, mv, mv.answers(new(int)), &v.History) // Why it fails is known already.
	}
	return v
}

// Walk takes one course, by choices that draw makes: it returns a number from 0 to n-1. It goes on until the history ends. If that goes
// wrong the error is a *[Violation]. The smaller the numbers, the fewer the faults.
func (m Model[W, S]) Walk(draw func(n int) int) error {
	n := m.start()
	v := &Violation{}
	for range m.maxMoves() {
		moves, end := m.moves(n)
		if end {
			if v.Why = m.check(n); v.Why != nil {
				return v
			}
		}
		// Faults come with a quarter of the moves, so that they do not all come at the beginning.
		faults := slices.DeleteFunc(slices.Clone(moves), func(mv move) bool { return !mv.fault })
		moves = slices.DeleteFunc(moves, func(mv move) bool { return mv.fault })
		if len(faults) > 0 && !end && draw(4) == 3 {
			moves = faults
		}
		if end && (len(moves) == 0 || draw(2) == 0) {
			return nil
		}
		mv := moves[draw(len(moves))]
		if v.Why = m.do(n, mv, func(string) bool { return draw(4) == 3 }, &v.History); v.Why != nil {
			return v
		}
	}
	v.Why = errors.New("it does not end")
	return v
}
