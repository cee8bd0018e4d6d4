package chaos

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// maxPause bounds how long a killed process stays away.
	maxPause = time.Second
	// pairs is how many rounds there are for one in which two processes are killed at once.
	pairs = 4
)

// round is what is killed at a moment.
type round struct {
	// at is the moment: when so many checkouts are done.
	at    int
	names []string
	pause time.Duration
	// place is where in the program the process is killed; anywhere if it is empty.
	place string
}

func (r round) String() string {
	return fmt.Sprintf("after %d checkouts: %s, for %v", r.at, strings.Join(r.names, " and "), r.pause.Round(time.Millisecond))
}

// plan spreads kills evenly over the checkouts, and over the processes, in a random order.
func plan(seed uint64, checkouts, kills int, names []string) []round {
	r := rand.New(rand.NewPCG(seed, 0))
	var victims []string
	for len(victims) < kills {
		for _, i := range r.Perm(len(names)) {
			victims = append(victims, names[i])
		}
	}
	var rounds []round
	for victims = victims[:kills]; len(victims) > 0; {
		n := 1
		if len(victims) > 1 && victims[0] != victims[1] && r.IntN(pairs) == 0 {
			n = 2
		}
		rounds = append(rounds, round{names: victims[:n], pause: time.Duration(r.Int64N(int64(maxPause)))})
		victims = victims[n:]
	}
	for i := range rounds { // Each within its share.
		from, to := checkouts*i/len(rounds), checkouts*(i+1)/len(rounds)
		rounds[i].at = from + r.IntN(max(to-from, 1))
	}
	return rounds
}

// TestPlan holds that a seed makes the same plan again, and that everybody gets a share of the kills.
func TestPlan(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d", "e", "f", "g"}
	rounds := plan(7, 1000, 20, names)
	again := plan(7, 1000, 20, names)
	share, killed := map[string]int{}, 0
	for i, r := range rounds {
		if r.String() != again[i].String() {
			t.Errorf("round %d is %v, and then %v", i, r, again[i])
		}
		if r.at < 1000*i/len(rounds) || r.at >= 1000*(i+1)/len(rounds) {
			t.Errorf("round %d of %d is at %d of 1000", i, len(rounds), r.at)
		}
		for _, name := range r.names {
			share[name]++
			killed++
		}
	}
	if least, most := slices.Min(slices.Collect(maps.Values(share))), slices.Max(slices.Collect(maps.Values(share))); killed != 20 || len(share) != 7 || least < 2 || most > 3 {
		t.Errorf("%d kills: %v", killed, share)
	}
	if plan(8, 1000, 20, names)[0].String() == rounds[0].String() {
		t.Error("another seed makes the same plan")
	}
}
