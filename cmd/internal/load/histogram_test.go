package load

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestPercentile compares the buckets with the durations themselves, from microseconds to hours.
func TestPercentile(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	var h Histogram
	all := make([]time.Duration, 100_000)
	for i := range all {
		all[i] = time.Microsecond << random.IntN(32)
		all[i] += rand.N(all[i])
		h.add(all[i])
	}
	slices.Sort(all)
	for _, share := range []float64{0.001, 0.01, 0.5, 0.95, 0.99, 0.9999, 1} {
		exact := all[max(int(share*float64(len(all))+0.5), 1)-1]
		if got := h.Percentile(share); got < exact || got > exact+exact/fine+time.Microsecond {
			t.Errorf("percentile %v is %v, and exactly %v", share, got, exact)
		}
	}
	if h.Percentile(1) != all[len(all)-1] {
		t.Errorf("the longest is %v, not %v", h.Percentile(1), all[len(all)-1])
	}
}

// TestPercentileOfExtremes holds that there is an answer for nothing, for less than nothing and for what is longer than any bucket.
func TestPercentileOfExtremes(t *testing.T) {
	t.Parallel()
	var h Histogram
	if got := h.Percentile(0.5); got != 0 {
		t.Errorf("of nothing it is %v", got)
	}
	h.add(-time.Second)
	if got := h.Percentile(0.5); got != 0 {
		t.Errorf("of what took no time it is %v", got)
	}
	h.add(1000 * time.Hour)
	if got := h.Percentile(1); got != 1000*time.Hour {
		t.Errorf("of 1000 hours it is %v", got)
	}
}
