package load

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets, log-linear as HdrHistogram does it: exact in microseconds up to 64 of them, and above within
// 1/32 of the duration. It takes 8 KB however much it counts.
type Histogram struct {
	buckets [1 << 10]int64
	count   int64
	max     time.Duration
}

// fine is how many buckets there are between a duration and its double.
const fine = 32

func (h *Histogram) add(d time.Duration) {
	h.count++
	h.max = max(h.max, d)
	h.buckets[min(bucketOf(d), len(h.buckets)-1)]++
}

// bucketOf returns the number of the bucket of a duration.
func bucketOf(d time.Duration) int {
	v := uint64(max(d.Microseconds(), 0))
	if v < 2*fine {
		return int(v)
	}
	doublings := bits.Len64(v) - bits.Len(2*fine-1)
	return doublings*fine + int(v>>doublings)
}

// end returns the duration at which the next bucket begins.
func end(bucket int) time.Duration {
	doublings := max(bucket/fine-1, 0)
	return time.Duration((bucket-doublings*fine+1)<<doublings) * time.Microsecond
}

// Percentile returns a duration that the given share of what was counted, between 0 and 1, does not exceed; 0 if nothing was.
func (h *Histogram) Percentile(share float64) time.Duration {
	wanted := max(int64(share*float64(h.count)+0.999999), 1)
	for i, n := range h.buckets {
		if wanted -= n; wanted <= 0 && i < len(h.buckets)-1 { // The last bucket has no end.
			return min(end(i), h.max)
		}
	}
	return h.max
}
