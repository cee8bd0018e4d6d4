package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// The benchmarks of platform/event, by their names.
const (
	published = "BenchmarkPublish/"
	worked    = "BenchmarkRiver"
	delivered = "BenchmarkDeliver"
	latency   = "BenchmarkLatency"
)

// The amounts of one round: how long publishing is measured, how many events or jobs wait to be handed over, and for how many events,
// a hundred a second, the way is timed.
const (
	publishTime = "1s"
	backlog     = "20000x"
	trickle     = "1000x"
)

// measureEvents runs the benchmarks of platform/event on the stand's server, once per round, so that those which are compared alternate.
func measureEvents(ctx context.Context, p plan, s *stand, r *report) error {
	p.say("events: building the benchmarks of platform/event")
	test := filepath.Join(s.dir, "event.test")
	if err := run(exec.CommandContext(ctx, "go", "test", "-c", "-o", test, "github.com/cleave-go/cleave/platform/event")); err != nil {
		return fmt.Errorf("build the benchmarks of platform/event: %w", err)
	}
	samples := map[string][]float64{}
	for round := range p.rounds {
		p.say("events: round %d of %d", round+1, p.rounds)
		for _, part := range []struct{ names, amount string }{{"Publish", publishTime}, {"River|Deliver", backlog}, {"Latency", trickle}} {
			cmd := exec.CommandContext(ctx, test, "-test.run=^$", "-test.bench="+part.names, "-test.benchtime="+part.amount, "-test.timeout=5m")
			cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "CLEAVE_BENCH_DATABASE_URL="+s.server.URL())
			output, err := cmd.CombinedOutput()
			if err != nil {
				return fmt.Errorf("run the benchmarks of platform/event: %w\n%s", err, lastLines(output))
			}
			for _, b := range parseBenchmarks(output) {
				samples[b.name+" "+b.unit] = append(samples[b.name+" "+b.unit], b.value)
			}
		}
	}
	for _, f := range []struct {
		what, a, b string
		unit       unit
		factor     float64
		figure
	}{
		{what: "transactions that publish : with a row in a plain outbox, one client", a: published + "alone-1 event-tx/s", b: published + "alone-1 outbox-tx/s", figure: figure{AtLeast: 0.85}},
		{what: "the same, eight clients", a: published + "alone-8 event-tx/s", b: published + "alone-8 outbox-tx/s", figure: figure{AtLeast: 0.85}},
		{what: "the same, and twenty subscribers that are away", a: published + "away-8 event-tx/s", b: published + "away-8 outbox-tx/s", figure: figure{AtLeast: 0.85}},
		{what: "the same, and one that is given every event meanwhile", a: published + "heard-8 event-tx/s", b: published + "alone-8 outbox-tx/s"},
		{what: "events delivered and applied : jobs of a bare River without work", a: delivered + " events/s", b: worked + " jobs/s", figure: figure{AtLeast: 0.5}},
		{what: "from the commit of an event to that of its effect, 100 a second, p50", a: latency + " p50-ms", unit: nanoseconds, factor: float64(time.Millisecond), figure: figure{AtMost: float64(15 * time.Millisecond)}},
		{what: "the same, p99", a: latency + " p99-ms", unit: nanoseconds, factor: float64(time.Millisecond)},
	} {
		f.Part, f.What, f.Unit = "events", f.what, f.unit
		if f.unit == pieces {
			f.Unit, f.factor = perSecond, 1
		}
		if len(samples[f.a]) != p.rounds || f.b != "" && len(samples[f.b]) != p.rounds {
			return fmt.Errorf("the benchmarks of platform/event have no %s %s in every round", f.a, f.b)
		}
		for round, value := range samples[f.a] {
			f.A = append(f.A, value*f.factor)
			if f.b != "" {
				f.B = append(f.B, samples[f.b][round])
			}
		}
		r.add(f.figure)
	}
	return nil
}
