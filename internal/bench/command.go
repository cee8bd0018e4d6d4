package main

import (
	"bytes"
	"fmt"
	"os/exec"
)

// run runs a command, whose error then has what it printed last.
func run(cmd *exec.Cmd) error {
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Args[0], err, lastLines(output))
	}
	return nil
}

// lastLines returns the end of a program's output, where the reason most often is.
func lastLines(output []byte) []byte {
	const lines = 15
	output = bytes.TrimSpace(output)
	for i, seen := len(output), 0; ; seen++ {
		if i = bytes.LastIndexByte(output[:i], '\n'); i < 0 {
			return output
		}
		if seen == lines-1 {
			return output[i+1:]
		}
	}
}
