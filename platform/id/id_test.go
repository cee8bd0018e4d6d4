package id

import (
	"regexp"
	"slices"
	"sync"
	"testing"
)

func TestNewExplainsItselfAndSortsByTime(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^ord_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$`) // UUIDv7 of RFC 9562.
	ids := make([]string, 10_000)
	for i := range ids {
		if ids[i] = New("ord"); !shape.MatchString(ids[i]) {
			t.Fatalf("%q is no UUIDv7 with a prefix", ids[i])
		}
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by the time they were made")
	}
}

func TestNewIsUnique(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]bool{}
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() {
			mine := make([]string, 5_000)
			for i := range mine {
				mine[i] = New("ord")
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range mine {
				seen[id] = true
			}
		})
	}
	waiting.Wait()
	if len(seen) != 8*5_000 {
		t.Errorf("%d different ids of %d", len(seen), 8*5_000)
	}
}
