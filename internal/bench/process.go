package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc, on every architecture that Go knows.
const tick = 10 * time.Millisecond

// usage is a line of /proc/PID/stat.
type usage struct {
	pid, parent int
	// own is the processor time of the process, user and system; ended that of its children that are gone.
	own, ended time.Duration
}

// parseUsage reads /proc/PID/stat. The name of the program is in it, in brackets, and may hold anything.
func parseUsage(line []byte) (usage, error) {
	begin, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if begin < 0 || end < begin {
		return usage{}, errors.New("no program name in brackets")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:begin])))
	if err != nil {
		return usage{}, err
	}
	fields := strings.Fields(string(line[end+1:])) // From the third on, in the counting of proc(5).
	if len(fields) < 15 {
		return usage{}, errors.New("too few fields")
	}
	var numbers [5]int64
	for i, field := range []int{4, 14, 15, 16, 17} { // ppid, utime, stime, cutime, cstime
		if numbers[i], err = strconv.ParseInt(fields[field-3], 10, 64); err != nil {
			return usage{}, err
		}
	}
	return usage{
		pid: pid, parent: int(numbers[0]),
		own: time.Duration(numbers[1]+numbers[2]) * tick, ended: time.Duration(numbers[3]+numbers[4]) * tick,
	}, nil
}

// ownTime returns the processor time that a process has used, without its children.
func ownTime(pid int) (time.Duration, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the processor time, for which this program needs Linux: %w", err)
	}
	u, err := parseUsage(line)
	return u.own, err
}

// treeTime returns the processor time that a process and all below it have used, those that are gone included.
func treeTime(root int) (time.Duration, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	children := map[int][]usage{}
	var sum time.Duration
	found := false
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // It has ended meanwhile.
		}
		u, err := parseUsage(line)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", file, err)
		}
		if u.pid == root {
			found = true
			sum = u.own + u.ended
		}
		children[u.parent] = append(children[u.parent], u)
	}
	if !found {
		return 0, fmt.Errorf("process %d has no processor time in /proc: this program needs Linux", root)
	}
	for waiting := []int{root}; len(waiting) > 0; waiting = waiting[1:] {
		for _, child := range children[waiting[0]] {
			sum += child.own + child.ended
			waiting = append(waiting, child.pid)
		}
	}
	return sum, nil
}

// residentBytes returns how much memory a process occupies.
func residentBytes(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory, for which this program needs Linux: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}
