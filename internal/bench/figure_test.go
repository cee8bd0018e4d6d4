package main

import (
	"testing"
	"time"
)

func TestSpreadIsOfPairs(t *testing.T) {
	t.Parallel()
	// The machine is twice as slow in the second round and four times in the third, for both.
	f := figure{A: []float64{10, 20, 40}, B: []float64{100, 200, 400}, AtMost: 1.0 / 8}
	least, median, most := f.spread()
	if least != 0.1 || median != 0.1 || most != 0.1 {
		t.Errorf("spread %v %v %v, want 0.1 throughout: noise that both have cancels out", least, median, most)
	}
	if f.A[2] != 40 {
		t.Error("spread changed the samples")
	}
	alone := figure{A: []float64{3, 1, 2, 10}}
	if least, median, most = alone.spread(); least != 1 || median != 2.5 || most != 10 {
		t.Errorf("without B: spread %v %v %v, want 1 2.5 10", least, median, most)
	}
}

func TestMet(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]figure{
		"":    {A: []float64{1}},
		"yes": {A: []float64{1}, B: []float64{8}, AtMost: 1.0 / 8},
		"no":  {A: []float64{81, 79, 81}, AtMost: 80},
	} {
		if got := f.met(); got != want {
			t.Errorf("%+v: met %q, want %q", f, got, want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{ratioText(0.125), "1/8"}, {ratioText(1.0 / 40), "1/40"}, {ratioText(1 / 13.26), "1/13.3"}, {ratioText(1.5), "1.50"}, {ratioText(0), "0.00"},
		{nanoseconds.text(743), "743 ns"}, {nanoseconds.text(9640), "9.64 µs"}, {nanoseconds.text(500e6), "500.0 ms"},
		{megabytes.text(45.13), "45.1 MB"}, {percent.text(5), "5.0 %"}, {pieces.text(12), "12.0"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for share, want := range map[float64]time.Duration{0.5: 50, 0.95: 95, 0.99: 99} {
		if got := percentile(hundred, share); got != want {
			t.Errorf("percentile %v of 1 to 100 is %d, want %d", share, got, want)
		}
	}
	if got := percentile([]time.Duration{7}, 0.5); got != 7 {
		t.Errorf("percentile of one value is %d, want that value", got)
	}
}
