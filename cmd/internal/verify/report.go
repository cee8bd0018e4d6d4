package verify

// Report is what was seen.
type Report struct {
	Rules []RuleReport
	// Findings are the violations, at most some of each rule, in the order of the rules.
	Findings []Finding
	// States counts the orders of the house by state.
	States map[string]int
	// Acknowledged counts the orders that somebody was told of, or all. Each is terminal, open or lost.
	Acknowledged, Terminal, Open, Lost int
}

// RuleReport is what was seen of a rule.
type RuleReport struct {
	Rule
	// Rows is how many facts were looked at, Violations how many of them violate the rule.
	Rows, Violations int64
	// Missing is why the rule was not looked at; "" if it was.
	Missing string
}

// Holds reports whether every rule holds.
func (r *Report) Holds() bool {
	for _, rule := range r.Rules {
		if rule.Violations > 0 {
			return false
		}
	}
	return true
}

// report returns what has been seen, with those of the violations that count.
func (b *book) report(house House, counts map[key]bool) *Report {
	r := &Report{States: map[string]int{}, Acknowledged: b.tally.acknowledged, Terminal: b.tally.terminal, Open: b.tally.open, Lost: b.tally.lost}
	for _, o := range b.orders {
		if o.known {
			r.States[o.word()]++
		}
	}
	for _, rule := range Rules {
		rr := RuleReport{Rule: rule, Rows: b.rows[rule.ID], Missing: b.unseen[rule.ID]}
		if rule.from != "" && house[rule.from] == "" {
			rr.Missing = "no process that was named holds " + rule.from
		}
		for _, found := range b.all {
			if found.Rule == rule.ID && counts[key{found.Rule, found.Subject}] {
				rr.Violations++
				r.Findings = append(r.Findings, found)
			}
		}
		if more := b.count[rule.ID] - maxKept; more > 0 && rr.Violations > 0 { // Too many to be told apart.
			rr.Violations += more
		}
		r.Rules = append(r.Rules, rr)
	}
	return r
}
