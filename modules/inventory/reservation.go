package inventory

import (
	"errors"
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
