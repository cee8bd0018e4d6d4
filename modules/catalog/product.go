package catalog

import (
	"slices"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
)

// state is where a product is in its life. The words are those of the table.
type state string

const (
	draft     state = "draft"
	published state = "published"
	archived  state = "archived"
)

// transitions are the legal ones. What was archived does not come back: orders refer to it as it was.
var transitions = map[state][]state{
	draft:     {published},
	published: {archived},
}

// canBecome reports whether a product may go from one state to another.
func (s state) canBecome(next state) bool { return slices.Contains(transitions[s], next) }

var messageStates = map[state]catalogv1.ProductState{
	draft:     catalogv1.ProductState_PRODUCT_STATE_DRAFT,
	published: catalogv1.ProductState_PRODUCT_STATE_PUBLISHED,
	archived:  catalogv1.ProductState_PRODUCT_STATE_ARCHIVED,
}

// stateOf returns the state that a message names; published if it names none.
func stateOf(m catalogv1.ProductState) state {
	for s, message := range messageStates {
		if message == m {
			return s
		}
	}
	return published
}

// nextPriceVersion returns the version of a price after it was set: the same if nothing changed, so that a quote can tell.
func nextPriceVersion(version, oldAmount int64, oldCurrency string, amount int64, currency string) int64 {
	if oldAmount == amount && oldCurrency == currency {
		return version
	}
	return version + 1
}
