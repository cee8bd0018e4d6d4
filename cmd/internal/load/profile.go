package load

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// errand is what somebody who arrives at the shop comes for.
type errand string

const (
	index    errand = "index"    // The first page of the catalogue.
	browse   errand = "browse"   // One product.
	add      errand = "add"      // An item into a cart.
	view     errand = "view"     // A cart.
	checkout errand = "checkout" // A cart with one to four items, a quote, an order, until that settles.
	rush     errand = "rush"     // The same with one piece of the one SKU that everybody wants.
)

// errands is the order in which they are told of.
var errands = []errand{index, browse, add, view, checkout, rush}

// Flash is the profile in which nearly everybody wants the same.
const Flash = "flash"

// profiles say how many of all come for what.
var profiles = map[string]map[errand]int{
	"browse": {index: 1, browse: 10, add: 2, view: 3, checkout: 1},
	"shop":   {index: 10, browse: 70, checkout: 20},
	"order":  {index: 5, browse: 45, checkout: 50},
	Flash:    {rush: 90, checkout: 10},
}

// Profiles returns the names of the profiles.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// pick returns what the next one comes for.
func pick(profile map[errand]int, random *rand.Rand) errand {
	sum := 0
	for _, weight := range profile {
		sum += weight
	}
	at := random.IntN(sum)
	for _, e := range errands {
		if at -= profile[e]; at < 0 {
			return e
		}
	}
	panic("the weights add up to less than their sum")
}
