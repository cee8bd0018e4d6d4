package inventory

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
)

// state is where a reservation is in its life. The words are those of the table.
type state string

const (
	held      state = "held"
	committed state = "committed"
	shipped   state = "shipped"
	released  state = "released"
	expired   state = "expired"
	returned  state = "returned"
)

// transitions are the legal ones.
var transitions = map[state][]state{
	held:      {committed, released, expired},
	committed: {shipped, released},
	shipped:   {returned},
}

// canBecome reports whether a reservation may go from one state to another.
func (s state) canBecome(next state) bool { return slices.Contains(transitions[s], next) }

// before returns the states from which a reservation may go to the next.
func before(next state) []state {
	var from []state
	for s := range transitions {
		if s.canBecome(next) {
			from = append(from, s)
		}
	}
	return from
}

// isAs reports whether nothing is left to do for who wants a reservation in the next state. Pieces are given back once, whoever did it.
func (s state) isAs(next state) bool { return s == next || s == expired && next == released }

var messageStates = map[state]inventoryv1.ReservationState{
	held:      inventoryv1.ReservationState_RESERVATION_STATE_HELD,
	committed: inventoryv1.ReservationState_RESERVATION_STATE_COMMITTED,
	shipped:   inventoryv1.ReservationState_RESERVATION_STATE_SHIPPED,
	released:  inventoryv1.ReservationState_RESERVATION_STATE_RELEASED,
	expired:   inventoryv1.ReservationState_RESERVATION_STATE_EXPIRED,
	returned:  inventoryv1.ReservationState_RESERVATION_STATE_RETURNED,
}

// line is a number of pieces of one SKU.
type line struct {
	sku      string
	quantity int64
}

// portion is what has become of the pieces of one SKU in a reservation that was committed.
type portion struct {
	sku                                    string
	quantity, shipped, returned, withdrawn int64
}

// left returns how many pieces are still set aside, and out how many were shipped and have not come back.
func (p portion) left() int64 { return p.quantity - p.shipped - p.withdrawn }
func (p portion) out() int64  { return p.shipped - p.returned }

// deed is what is done with pieces of a reservation that was committed.
type deed struct {
	// name is what has been done then, for people.
	name string
	// there returns how many pieces it can be done with.
	there func(portion) int64
	// count returns where a portion keeps how many it was done with.
	count func(*portion) *int64
	// from are the states of a reservation in which it can be done, and to is where the reservation is when it is done with all.
	from []state
	to   state
}

var (
	ship     = deed{"shipped", portion.left, func(p *portion) *int64 { return &p.shipped }, []state{committed}, shipped}
	takeBack = deed{"returned", portion.out, func(p *portion) *int64 { return &p.returned }, []state{committed, shipped}, returned}
	withdraw = deed{"withdrawn", portion.left, func(p *portion) *int64 { return &p.withdrawn }, []state{committed}, released}
)

// errFewer says that a reservation has fewer pieces than something shall be done with.
type errFewer struct {
	line
	there int64
	deed  string
}

func (e errFewer) Error() string {
	return fmt.Sprintf("%s: %d pieces can be %s, not %d", e.sku, e.there, e.deed, e.quantity)
}

// do counts the lines, or all pieces with which it can be done if there are none, and returns what it was done with. The lines are one a
// SKU.
func (d deed) do(portions []portion, lines []line) (done []line, err error) {
	if len(lines) == 0 {
		for _, p := range portions {
			if n := d.there(p); n > 0 {
				lines = append(lines, line{p.sku, n})
			}
		}
	}
	for _, l := range lines {
		i := slices.IndexFunc(portions, func(p portion) bool { return p.sku == l.sku })
		if i < 0 {
			return nil, errFewer{l, 0, d.name}
		}
		if there := d.there(portions[i]); l.quantity > there {
			return nil, errFewer{l, there, d.name}
		}
		*d.count(&portions[i]) += l.quantity
	}
	return lines, nil
}

// stateAfter returns where a reservation that was committed is, by what has become of its pieces.
func stateAfter(portions []portion) state {
	is := released
	for _, p := range portions {
		switch {
		case p.left() > 0:
			return committed
		case p.out() > 0:
			is = shipped
		case p.shipped > 0 && is == released:
			is = returned
		}
	}
	return is
}

// errTooMany says that quantities cannot be added up.
var errTooMany = errors.New("the quantities add up to more than can be counted")

// sum adds up lines of the same SKU and sorts them by SKU, the order in which stock is locked.
func sum(lines []line) ([]line, error) {
	total := map[string]int64{}
	for _, l := range lines {
		if l.quantity > 0 && total[l.sku] > math.MaxInt64-l.quantity {
			return nil, errTooMany
		}
		total[l.sku] += l.quantity
	}
	summed := make([]line, 0, len(total))
	for sku, quantity := range total {
		summed = append(summed, line{sku, quantity})
	}
	sort.Slice(summed, func(i, j int) bool { return summed[i].sku < summed[j].sku })
	return summed, nil
}

// shortage returns the first line that asks for more than is free, or false if all can be had. Free names the pieces per SKU.
func shortage(lines []line, free map[string]int64) (line, bool) {
	for _, l := range lines {
		if l.quantity > free[l.sku] {
			return l, true
		}
	}
	return line{}, false
}
