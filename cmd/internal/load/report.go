package load

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"
)

// Report is what came of it.
type Report struct {
	Profile string `json:"profile"`
	// Rate is how many customers were to come in a second, and RateReached how many did who found room.
	Rate        float64 `json:"rate"`
	RateReached float64 `json:"rate_reached"`
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted"`
	// Arrivals is how many customers came. Of these so many found no room, and the visits of so many failed.
	Arrivals int64 `json:"arrivals"`
	Dropped  int64 `json:"dropped"`
	Failed   int64 `json:"failed"`
	// LateP99 and LateMax are how late the generator itself was to let them in.
	LateP99 Millis `json:"late_p99_ms"`
	LateMax Millis `json:"late_max_ms"`

	Visits  []Line           `json:"visits"`
	Methods []Line           `json:"methods"`
	Settled Line             `json:"settled"`
	Orders  map[string]int64 `json:"orders"`

	Requests int64 `json:"requests"`
	// ProcessorSeconds is what the processes of the shop have used, and ProcessorPerThousand that by 1,000 requests, unless there is a
	// problem with it.
	ProcessorSeconds     float64 `json:"processor_seconds,omitempty"`
	ProcessorPerThousand float64 `json:"processor_seconds_per_1000_requests,omitempty"`
	ProcessorProblem     string  `json:"processor_problem,omitempty"`

	Sale *Sale `json:"sale,omitempty"`
}

// Line is a row: how many went well, how long these took, and how many failed with each code.
type Line struct {
	Name   string           `json:"name"`
	Count  int64            `json:"count"`
	P50    Millis           `json:"p50_ms"`
	P95    Millis           `json:"p95_ms"`
	P99    Millis           `json:"p99_ms"`
	Max    Millis           `json:"max_ms"`
	Errors map[string]int64 `json:"errors,omitempty"`
}

// Millis is a duration that JSON has in milliseconds.
type Millis time.Duration

// MarshalJSON writes it as a number.
func (m Millis) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(m).Microseconds()) / 1000)
}

// Bad is the share of the arrivals that found no room or whose visits failed, in percent.
func (r *Report) Bad() float64 {
	if r.Arrivals == 0 {
		return 0
	}
	return 100 * float64(r.Dropped+r.Failed) / float64(r.Arrivals)
}

// Errors returns how many calls have failed with a code.
func (r *Report) Errors(code connect.Code) (n int64) {
	for _, l := range r.Methods {
		n += l.Errors[code.String()]
	}
	return n + r.Settled.Errors[code.String()]
}

// report makes the report. Customers came for so long, and the last one was gone after so long.
func (r *record) report(o Options, came, lasted time.Duration) *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := &Report{
		Profile: o.Profile, Rate: o.Rate, RateReached: float64(r.arrivals-r.dropped) / came.Seconds(), Seconds: lasted.Seconds(),
		Arrivals: r.arrivals, Dropped: r.dropped, Failed: r.all.failed(), LateP99: Millis(r.late.Percentile(0.99)), LateMax: Millis(r.late.max),
		Visits: []Line{r.all.line("all")}, Methods: []Line{}, Settled: r.settled.line("order settled"), Orders: r.outcomes, Requests: r.requests,
	}
	for _, e := range errands {
		if l := r.visits[e]; l != nil {
			report.Visits = append(report.Visits, l.line(string(e)))
		}
	}
	for _, procedure := range slices.Sorted(maps.Keys(r.methods)) {
		report.Methods = append(report.Methods, r.methods[procedure].line(procedure[strings.LastIndexByte(procedure, '.')+1:]))
	}
	return report
}

func (l *line) line(name string) Line {
	told := Line{
		Name: name, Count: l.count, P50: Millis(l.Percentile(0.50)), P95: Millis(l.Percentile(0.95)), P99: Millis(l.Percentile(0.99)), Max: Millis(l.max),
	}
	for code, n := range l.errors {
		if told.Errors == nil {
			told.Errors = map[string]int64{}
		}
		told.Errors[code.String()] = n
	}
	return told
}
