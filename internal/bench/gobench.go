package main

import (
	"regexp"
	"strconv"
	"strings"
)

// benchmark is a result of a Go benchmark.
type benchmark struct {
	// name is without the number of processors that Go appends.
	name        string
	nanoseconds float64 // per operation
}

var benchmarkLine = regexp.MustCompile(`(?m)^(Benchmark\S*?)(?:-\d+)?\s+\d+\s+([0-9.e+]+) ns/op`)

// parseBenchmarks reads the output of go test -bench.
func parseBenchmarks(output []byte) []benchmark {
	var list []benchmark
	for _, match := range benchmarkLine.FindAllSubmatch(output, -1) {
		if value, err := strconv.ParseFloat(string(match[2]), 64); err == nil {
			list = append(list, benchmark{string(match[1]), value})
		}
	}
	return list
}

// itemText returns the name of a benchmark as a person reads it.
func itemText(name string) string {
	return strings.NewReplacer("/", ": ", "_", " ").Replace(strings.TrimPrefix(name, "Benchmark"))
}
