package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// The benchmarks of the seam that are compared, by their names in platform/rpc.
const (
	inProcess    = "BenchmarkCall/in-process"
	inMemory     = "BenchmarkCall/Connect_in_memory"
	overLoopback = "BenchmarkCall/Connect_over_loopback_h2c"
	observed     = "BenchmarkObserve"
)

// measureSeam runs the benchmarks of platform/rpc once per round, so that those which are compared alternate, and not all rounds of
// one before the next as go test -count would have it.
func measureSeam(ctx context.Context, p plan, r *report) error {
	const part, pkg = "seam", "github.com/cleave-go/cleave/platform/rpc"
	dir, err := os.MkdirTemp("", "cleave-bench-seam-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p.say("seam: building the benchmarks of platform/rpc")
	program := filepath.Join(dir, "rpc.test")
	if err := run(exec.CommandContext(ctx, "go", "test", "-c", "-o", program, pkg)); err != nil {
		return fmt.Errorf("build the benchmarks of the seam: %w", err)
	}
	samples := map[string][]float64{}
	var names []string
	for round := range p.rounds {
		p.say("seam: round %d of %d", round+1, p.rounds)
		cmd := exec.CommandContext(ctx, program, "-test.run=^$", "-test.bench=.", "-test.benchtime=500ms", "-test.timeout=5m")
		cmd.Dir = dir
		output, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("run the benchmarks of the seam: %w\n%s", err, lastLines(output))
		}
		for _, b := range parseBenchmarks(output) {
			if b.unit != "ns/op" {
				continue
			}
			if samples[b.name] == nil {
				names = append(names, b.name)
			}
			samples[b.name] = append(samples[b.name], b.value)
		}
	}
	compared := []string{inProcess, inMemory, overLoopback, observed}
	for _, name := range compared {
		if len(samples[name]) != p.rounds {
			return fmt.Errorf("the benchmarks of platform/rpc have no result for %s in every round", name)
		}
	}
	r.add(
		figure{Part: part, What: "a call in-process : through Connect in memory", Unit: nanoseconds, A: samples[inProcess], B: samples[inMemory], AtMost: 1.0 / 8},
		figure{Part: part, What: "a call in-process : over loopback h2c", Unit: nanoseconds, A: samples[inProcess], B: samples[overLoopback], AtMost: 1.0 / 40},
		figure{Part: part, What: "measuring a call, while no trace is sent : a call in-process", Unit: nanoseconds, A: samples[observed], B: samples[inProcess], AtMost: 1.0 / 20},
	)
	for _, name := range names {
		if !slices.Contains(compared, name) {
			r.add(figure{Part: part, What: itemText(name), Unit: nanoseconds, A: samples[name]})
		}
	}
	return nil
}
