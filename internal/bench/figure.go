package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// figure is something that was measured in every round, and perhaps something else that it is compared with.
type figure struct {
	Part string `json:"part"`
	What string `json:"what"`
	Unit unit   `json:"unit"`
	// A has one sample per round, and so has B, unless A is compared with nothing.
	A []float64 `json:"a"`
	B []float64 `json:"b,omitempty"`
	// AtMost or AtLeast is the target: of the ratio if there is a B, otherwise of A itself. 0 means that there is none.
	AtMost  float64 `json:"at_most,omitempty"`
	AtLeast float64 `json:"at_least,omitempty"`
}

// spread returns the smallest, the median and the largest ratio of A to B of one round; of A itself if there is no B.
func (f figure) spread() (least, median, most float64) {
	values := slices.Clone(f.A)
	for i := range f.B {
		values[i] /= f.B[i]
	}
	return slices.Min(values), medianOf(values), slices.Max(values)
}

// met reports whether the target is met, "" if there is none.
func (f figure) met() string {
	_, median, _ := f.spread()
	switch {
	case f.AtMost == 0 && f.AtLeast == 0:
		return ""
	case f.AtMost > 0 && median <= f.AtMost, f.AtLeast > 0 && median >= f.AtLeast:
		return "yes"
	default:
		return "no"
	}
}

// medianOf returns the middle value, of an even number the mean of the two.
func medianOf(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile returns the smallest of the sorted values that the given share of them, between 0 and 1, does not exceed.
func percentile(sorted []time.Duration, share float64) time.Duration {
	return sorted[max(int(math.Ceil(share*float64(len(sorted))))-1, 0)]
}

// unit is what a figure counts.
type unit string

const (
	nanoseconds unit = "ns"
	perSecond   unit = "per second"
	cpuSeconds  unit = "CPU s"
	megabytes   unit = "MB"
	kilobytes   unit = "kB"
	percent     unit = "%"
	pieces      unit = ""
)

// text returns a value as a person reads it.
func (u unit) text(v float64) string {
	switch u {
	case nanoseconds:
		switch {
		case v < 1e3:
			return fmt.Sprintf("%.0f ns", v)
		case v < 1e6:
			return fmt.Sprintf("%.2f µs", v/1e3)
		default:
			return fmt.Sprintf("%.1f ms", v/1e6)
		}
	case perSecond:
		return fmt.Sprintf("%.0f/s", v)
	case cpuSeconds:
		return fmt.Sprintf("%.2f s", v)
	case percent:
		return fmt.Sprintf("%.1f %%", v)
	case megabytes, kilobytes:
		return fmt.Sprintf("%.1f %s", v, u)
	default:
		return fmt.Sprintf("%.1f", v)
	}
}

// ratioText returns a ratio as a person reads it: 1/8 rather than 0.125, but 0.85.
func ratioText(v float64) string {
	if v > 0 && v < 0.2 {
		return fmt.Sprintf("1/%.4g", math.Round(10/v)/10)
	}
	return fmt.Sprintf("%.2f", v)
}
