package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeTable prints a line per figure, the parts apart.
func (r *report) writeTable(w io.Writer) error {
	fmt.Fprintf(w, "%s, %s, %d cores, %s", r.Date, r.System, r.Cores, r.Go)
	if r.Postgres != "" {
		fmt.Fprintf(w, ", PostgreSQL %s", r.Postgres)
	}
	if r.Load != "" {
		fmt.Fprintf(w, ", load average %s before", r.Load)
	}
	fmt.Fprintln(w, "\nmin, median and max are of the ratio A : B in each round; where there is no B, of A")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	part := ""
	for _, f := range r.Figures {
		if f.Part != part {
			part = f.Part
			fmt.Fprintf(table, "\n%s\tA\tB\tmin\tmedian\tmax\ttarget\tmet\n", strings.ToUpper(part))
		}
		fmt.Fprintf(table, "  %s\n", strings.Join(f.cells(), "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return r.writeStatements(w)
}

// cells are the columns of a figure's line.
func (f figure) cells() []string {
	b, text := "", f.Unit.text
	if len(f.B) > 0 {
		b, text = f.Unit.text(medianOf(f.B)), ratioText
	}
	target := ""
	switch {
	case f.AtMost > 0:
		target = "≤ " + text(f.AtMost)
	case f.AtLeast > 0:
		target = "≥ " + text(f.AtLeast)
	}
	least, median, most := "", "", ""
	if len(f.A) > 1 || len(f.B) > 0 {
		low, middle, high := f.spread()
		least, median, most = text(low), text(middle), text(high)
	}
	return []string{f.What, f.Unit.text(medianOf(f.A)), b, least, median, most, target, f.met()}
}

const (
	// mostStatements is how many statements are printed, mostLetters how many letters of one.
	mostStatements = 25
	mostLetters    = 110
)

func (r *report) writeStatements(w io.Writer) error {
	if len(r.Statements) == 0 {
		return nil
	}
	fmt.Fprint(w, "\nThe statements of an order that take the most time, in ms per order, without the flush at the commit\n\n")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "  calls\tplanning\trunning\trole\tstatement")
	for _, s := range r.Statements[:min(len(r.Statements), mostStatements)] {
		fmt.Fprintf(table, "  %.2f\t%.3f\t%.3f\t%s\t%s\n", s.Calls, s.Planning, s.Running, s.Role, shortened(s.Text))
	}
	return table.Flush()
}

// shortened returns a statement on one line: of one that sqlc generated its name, of another its beginning.
func shortened(text string) string {
	if name, ok := strings.CutPrefix(text, "-- name: "); ok {
		return strings.Fields(name)[0]
	}
	letters := []rune(strings.Join(strings.Fields(text), " "))
	if len(letters) > mostLetters {
		letters = append(letters[:mostLetters-1], '…')
	}
	return string(letters)
}
