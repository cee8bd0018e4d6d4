package soak

import "fmt"

// state is what the shop's process holds at a moment.
type state struct {
	goroutines, resident, heap, connections float64
}

// limits are how much more of it there may be, by factor and on top of that.
var limits = []struct {
	what   string
	of     func(state) float64
	factor float64
	more   float64
}{
	// Some are at work on something that comes by the clock.
	{"goroutines", func(s state) float64 { return s.goroutines }, 1.05, 15},
	// At which the next collection begins: one and a half of what was alive in the last one, see TestSoak.
	{"bytes of heap", func(s state) float64 { return s.heap }, 1.15, 6 << 20},
	// What was freed goes back to the system slowly.
	{"bytes of memory", func(s state) float64 { return s.resident }, 1.25, 24 << 20},
	// Pools open what a burst needs, and close it after five minutes without use.
	{"connections to the database", func(s state) float64 { return s.connections }, 1.1, 6},
}

// grown says of what there is more than there may be.
func grown(before, after state) (problems []string) {
	for _, l := range limits {
		if most := l.of(before)*l.factor + l.more; l.of(after) > most {
			problems = append(problems, fmt.Sprintf("%.0f %s, after %.0f: more than the %.0f that there may be", l.of(after), l.what, l.of(before), most))
		}
	}
	return problems
}

// lows returns the least that the shop held of each in a part of a run. A peak is no growth: what grows raises its lows.
func lows(part []state) state {
	low := part[0]
	for _, s := range part[1:] {
		low = state{min(low.goroutines, s.goroutines), min(low.resident, s.resident), min(low.heap, s.heap), min(low.connections, s.connections)}
	}
	return low
}
