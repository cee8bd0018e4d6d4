package inventory

import (
	"errors"
	"math"
	"slices"
	"testing"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/statetest"
)

var allStates = []state{held, committed, shipped, released, expired, returned}

func TestTransitions(t *testing.T) {
	t.Parallel()
	legal := map[[2]state]bool{
		{held, committed}: true, {held, released}: true, {held, expired}: true,
		{committed, released}: true, {committed, shipped}: true,
		{shipped, returned}: true,
	}
	for _, from := range allStates {
		for _, to := range allStates {
			if got := from.canBecome(to); got != legal[[2]state{from, to}] {
				t.Errorf("%s → %s is legal: %v", from, to, got)
			}
		}
	}
}

func TestEveryStateHasItsMessage(t *testing.T) {
	t.Parallel()
	seen := map[inventoryv1.ReservationState]bool{}
	for _, s := range allStates {
		seen[messageStates[s]] = true
	}
	for value, name := range inventoryv1.ReservationState_name {
		if s := inventoryv1.ReservationState(value); s != inventoryv1.ReservationState_RESERVATION_STATE_UNSPECIFIED && !seen[s] {
			t.Errorf("no state is told as %s", name)
		}
	}
	if seen[inventoryv1.ReservationState_RESERVATION_STATE_UNSPECIFIED] {
		t.Error("a state is told as unspecified")
	}
}

func TestSum(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		given []line
		want  []line
		err   error
	}{
		{"sorted by SKU", []line{{"b", 1}, {"a", 2}, {"c", 3}}, []line{{"a", 2}, {"b", 1}, {"c", 3}}, nil},
		{"same SKU", []line{{"a", 1}, {"b", 1}, {"a", 2}}, []line{{"a", 3}, {"b", 1}}, nil},
		{"nothing left", []line{{"a", 5}, {"a", -5}}, []line{{"a", 0}}, nil},
		{"the most", []line{{"a", math.MaxInt64 - 1}, {"a", 1}}, []line{{"a", math.MaxInt64}}, nil},
		{"more than the most", []line{{"a", math.MaxInt64}, {"b", 1}, {"a", 1}}, nil, errTooMany},
		{"nothing", nil, []line{}, nil},
	} {
		got, err := sum(c.given)
		if !errors.Is(err, c.err) || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v, want %v, %v", c.name, got, err, c.want, c.err)
		}
	}
}

func TestStatesAreDrawn(t *testing.T) {
	t.Parallel()
	statetest.Drawn(t, "../../docs/states/reservation.md", held, transitions)
}

// What is done with pieces is possible as long as there are some, and where the reservation is follows from them.
func TestDeeds(t *testing.T) {
	t.Parallel()
	portions := func() []portion {
		return []portion{{sku: "a", quantity: 3, shipped: 1}, {sku: "b", quantity: 2, shipped: 2, returned: 1}}
	}
	for _, c := range []struct {
		name  string
		deed  deed
		lines []line
		want  []line
		is    state
		err   string
	}{
		{"ship one", ship, []line{{"a", 1}}, []line{{"a", 1}}, committed, ""},
		{"ship all that is left", ship, nil, []line{{"a", 2}}, shipped, ""},
		{"ship more than is left", ship, []line{{"a", 3}}, nil, "", "a: 2 pieces can be shipped, not 3"},
		{"ship something else", ship, []line{{"c", 1}}, nil, "", "c: 0 pieces can be shipped, not 1"},
		{"return one of each", takeBack, []line{{"a", 1}, {"b", 1}}, []line{{"a", 1}, {"b", 1}}, committed, ""},
		{"return what never went", takeBack, []line{{"a", 2}}, nil, "", "a: 1 pieces can be returned, not 2"},
		{"return what has come back", takeBack, []line{{"b", 2}}, nil, "", "b: 1 pieces can be returned, not 2"},
		{"withdraw the rest", withdraw, []line{{"a", 2}}, []line{{"a", 2}}, shipped, ""},
		{"withdraw what has gone", withdraw, []line{{"b", 1}}, nil, "", "b: 0 pieces can be withdrawn, not 1"},
	} {
		after := portions()
		got, err := c.deed.do(after, c.lines)
		switch {
		case c.err != "" && (err == nil || err.Error() != c.err):
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		case c.err == "" && (err != nil || !slices.Equal(got, c.want) || stateAfter(after) != c.is):
			t.Errorf("%s: it was done with %v and is %s, %v; want %v and %s", c.name, got, stateAfter(after), err, c.want, c.is)
		}
	}
	for want, p := range map[state][]portion{
		released:  {{quantity: 3, withdrawn: 3}, {quantity: 1, withdrawn: 1}},
		returned:  {{quantity: 3, withdrawn: 2, shipped: 1, returned: 1}, {quantity: 1, withdrawn: 1}},
		shipped:   {{quantity: 3, shipped: 3, returned: 3}, {quantity: 1, shipped: 1}},
		committed: {{quantity: 3, shipped: 3, returned: 3}, {quantity: 1}},
	} {
		if got := stateAfter(p); got != want {
			t.Errorf("with %+v it is %s, want %s", p, got, want)
		}
	}
}
