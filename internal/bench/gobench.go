package main

import (
	"regexp"
	"strconv"
	"strings"
)

// result is a figure of a Go benchmark.
type result struct {
	// name is without the number of processors that Go appends.
	name  string
	unit  string // "ns/op" or what the benchmark reports
	value float64
}

var (
	benchmarkLine  = regexp.MustCompile(`(?m)^(Benchmark\S*?)(?:-\d+)?\s+\d+\s+([0-9].*)$`)
	benchmarkValue = regexp.MustCompile(`([0-9.e+]+) (\S+)`)
)

// parseBenchmarks reads the output of go test -bench.
func parseBenchmarks(output []byte) []result {
	var list []result
	for _, line := range benchmarkLine.FindAllSubmatch(output, -1) {
		for _, match := range benchmarkValue.FindAllSubmatch(line[2], -1) {
			if value, err := strconv.ParseFloat(string(match[1]), 64); err == nil {
				list = append(list, result{string(line[1]), string(match[2]), value})
			}
		}
	}
	return list
}

// itemText returns the name of a benchmark as a person reads it.
func itemText(name string) string {
	return strings.NewReplacer("/", ": ", "_", " ").Replace(strings.TrimPrefix(name, "Benchmark"))
}
