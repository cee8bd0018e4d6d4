package verify

import "fmt"

// Finding is a violation of a rule.
type Finding struct {
	Rule string
	// Subject is what violates it: the id of an order, a charge, a SKU.
	Subject string
	// Text explains it in a sentence, with what an operator needs.
	Text string
}

// key tells findings of two looks that are the same.
type key struct{ rule, subject string }

// maxKept bounds how many findings of a rule are held. What is beyond is counted.
const maxKept = 1000

// findings are what a look has found.
type findings struct {
	rows  map[string]int64 // How many facts were looked at, by rule.
	count map[string]int64
	all   []Finding // In the order in which they were found.
	seen  map[key]bool
}

func newFindings() *findings {
	return &findings{rows: map[string]int64{}, count: map[string]int64{}, seen: map[key]bool{}}
}

// check takes note that a rule was looked at, and of the violation if it does not hold. Of a subject that violates a rule twice, one is
// enough.
func (f *findings) check(rule, subject string, holds bool, format string, args ...any) {
	f.rows[rule]++
	if !holds {
		f.add(rule, subject, format, args...)
	}
}

func (f *findings) add(rule, subject, format string, args ...any) {
	if f.seen[key{rule, subject}] {
		return
	}
	if f.count[rule]++; f.count[rule] > maxKept {
		return
	}
	f.seen[key{rule, subject}] = true
	f.all = append(f.all, Finding{rule, subject, fmt.Sprintf(format, args...)})
}
