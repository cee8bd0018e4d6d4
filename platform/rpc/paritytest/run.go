package paritytest

import (
	"slices"
	"testing"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Case is something that must be the same for every way to call.
type Case struct {
	Name string
	// Interceptors run around the callee, see [rpc.NewServer].
	Interceptors []rpc.Interceptor
	// NotServed says that the callee's module is known but its service is not there yet.
	NotServed bool
	// Unshared says that the case looks at how the time of a call is used up, which policies share out among attempts.
	Unshared bool
	// Do sets the callee, makes the calls and returns what the caller saw. It is called once for each way, at the same time.
	Do func(t *testing.T, p *Pair) Seen
	// Want is what must be seen, the notes of both sides included.
	Want Seen
}

// Run plays each case for every way, in parallel.
func Run(t *testing.T, cases ...Case) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			ways := slices.DeleteFunc(Ways(), func(w Way) bool { return c.Unshared && w.Policies })
			seen := make([]Seen, len(ways))
			played := make([]bool, len(ways))
			t.Run("way", func(t *testing.T) { // Returns when all ways are played.
				for i, way := range ways {
					t.Run(way.Name, func(t *testing.T) {
						t.Parallel()
						seen[i] = play(t, way, c)
						played[i] = true
					})
				}
			})
			for i := 1; i < len(ways); i++ {
				if !played[0] || !played[i] {
					continue // It has failed already.
				}
				if difference := seen[0].differenceBetweenWays(seen[i]); difference != "" {
					t.Errorf("%s (-) differs from %s (+):\n%s", ways[0].Name, ways[i].Name, difference)
				}
			}
		})
	}
}

func play(t *testing.T, way Way, c Case) Seen {
	p := newPair(t, way, c)
	seen := c.Do(t, p)
	seen.Notes = p.noted()
	if difference := c.Want.difference(seen); difference != "" {
		t.Errorf("wanted (-), seen (+):\n%s\nlog:\n%s", difference, p.Log())
	}
	return seen
}
