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
