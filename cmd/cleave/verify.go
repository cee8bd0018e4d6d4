package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleave-go/cleave/cmd/internal/house"
	"github.com/cleave-go/cleave/cmd/internal/verify"
	"github.com/cleave-go/cleave/platform/module"
)

// cannotLook is the exit code of a verification that knows nothing, which is neither good nor bad.
const cannotLook = 2

// verifyCommand proves that nothing was lost.
func verifyCommand() *cobra.Command {
	var a admin
	var o verify.Options
	var acknowledged string
	var list bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove that no order is lost, nothing is charged twice, and stock, money and messages add up",
		Long: `Reads what the modules have written down, and what the payment provider says, over the operators' ports of running processes,
and compares. Name one process for each module with --admin; of several replicas one answers for all.

There is no snapshot over several databases, so what seems wrong is looked at again every second for the time of --grace, and counts
only if every look has seen it. Amounts are in minor units: 1999 EUR are 19.99 euros.

Ends with 0 if every rule holds, with 1 if one is violated, and with 2 if it could not look.`,
		Example: `  cleave verify
  cleave verify --admin http://10.0.0.7:9090,http://10.0.0.8:9090 --acknowledged orders.txt
  cleave verify --deadline 0s --grace 30s   # everything has to have ended within half a minute
  cleave verify --list`,
		Args: func(cmd *cobra.Command, args []string) error { return blind(cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			if list {
				return listRules(out)
			}
			if o.Deadline < 0 || o.Grace < 0 {
				return blind(errors.New("--deadline and --grace cannot be less than nothing"))
			}
			if acknowledged != "" {
				var err error
				if o.Acknowledged, err = readIDs(acknowledged); err != nil {
					return blind(err)
				}
			}
			report, err := look(cmd.Context(), &a, o, cmd.ErrOrStderr())
			if err != nil {
				return blind(err)
			}
			tell := tellPeople
			if a.json {
				tell = tellMachines
			}
			if err := tell(out, report); err != nil {
				return blind(err)
			}
			if !report.Holds() {
				return errors.New("the house is not in order")
			}
			return nil
		},
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return blind(err) })
	a.flags(c)
	c.Flags().StringVar(&acknowledged, "acknowledged", "", "file with the ids of the orders that somebody was told of, one a line")
	c.Flags().DurationVar(&o.Deadline, "deadline", 15*time.Minute, "for how long an order, an attempt, a message, a saga or a delivery may be open")
	c.Flags().DurationVar(&o.Grace, "grace", 10*time.Second, "for how long what seems wrong is looked at again before it counts")
	c.Flags().BoolVar(&list, "list", false, "list the rules, and look at nothing")
	return c
}

// blind says that nothing is known because of an error.
func blind(err error) error {
	if err == nil {
		return nil
	}
	return withCode{err, cannotLook}
}

// look finds the modules and verifies.
func look(ctx context.Context, a *admin, o verify.Options, stderr io.Writer) (*verify.Report, error) {
	bases, err := a.modules(ctx)
	if err != nil {
		return nil, err
	}
	if o.Map, err = module.ReadMap(house.Map); err != nil {
		return nil, err
	}
	o.House = verify.House{}
	for name, base := range bases {
		o.House[name] = strings.TrimSuffix(base, "/modules/"+name)
	}
	if isTerminal(stderr) {
		began := time.Now()
		shown := false
		o.Progress = func(what string) {
			if time.Since(began) > time.Second {
				shown = true
				fmt.Fprintf(stderr, "\r\033[K%s …", what)
			}
		}
		defer func() {
			if shown {
				fmt.Fprint(stderr, "\r\033[K")
			}
		}()
	}
	return verify.Run(ctx, o)
}

// isTerminal reports whether somebody watches.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// readIDs reads the ids in a file, one a line.
func readIDs(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the acknowledged orders: %w", err)
	}
	defer file.Close()
	var ids []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if id := strings.TrimSpace(lines.Text()); id != "" {
			ids = append(ids, id)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the acknowledged orders: %w", err)
	}
	if len(ids) == 0 { // Whoever wrote it has failed, and nothing would be proven.
		return nil, fmt.Errorf("%s names no acknowledged order: write the id of one on each line, or leave --acknowledged out to look at all orders of the house", path)
	}
	return ids, nil
}

func listRules(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, rule := range verify.Rules {
		fmt.Fprintf(w, "%s\t%s\n", rule.ID, rule.Says)
	}
	return w.Flush()
}

// maxTold is how many violations of a rule are explained to people.
const maxTold = 20

// tellPeople prints the rules, then what violates them, then what became of the orders.
func tellPeople(out io.Writer, r *verify.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tROWS\tVIOLATIONS\tSAYS")
	for _, rule := range r.Rules {
		if rule.Missing != "" {
			fmt.Fprintf(w, "%s\t-\t-\t%s: not looked at, because %s\n", rule.ID, rule.Says, rule.Missing)
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", rule.ID, rule.Rows, rule.Violations, rule.Says)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, rule := range r.Rules {
		if rule.Violations == 0 {
			continue
		}
		fmt.Fprintf(out, "\n%s: %s\n", rule.ID, rule.Says)
		told := int64(0)
		for _, found := range r.Findings {
			if found.Rule == rule.ID && told < maxTold {
				told++
				fmt.Fprintf(out, "  %s\n", found.Text)
			}
		}
		if more := rule.Violations - told; more > 0 {
			fmt.Fprintf(out, "  and %d more\n", more)
		}
	}
	var states []string
	for _, state := range slices.Sorted(maps.Keys(r.States)) {
		states = append(states, fmt.Sprintf("%d %s", r.States[state], state))
	}
	fmt.Fprintf(out, "\norders: %s\n", strings.Join(states, ", "))
	fmt.Fprintf(out, "acknowledged %d = terminal %d + open %d", r.Acknowledged, r.Terminal, r.Open)
	if r.Lost > 0 {
		fmt.Fprintf(out, " + lost %d", r.Lost)
	}
	_, err := fmt.Fprintln(out)
	return err
}

// tellMachines prints an object a line: the violations, and then what was looked at.
func tellMachines(out io.Writer, r *verify.Report) error {
	w := json.NewEncoder(out)
	for _, found := range r.Findings {
		if err := w.Encode(map[string]any{"type": "violation", "rule": found.Rule, "subject": found.Subject, "text": found.Text}); err != nil {
			return err
		}
	}
	rules := make([]map[string]any, 0, len(r.Rules))
	for _, rule := range r.Rules {
		rules = append(rules, map[string]any{"rule": rule.ID, "rows": rule.Rows, "violations": rule.Violations, "missing": rule.Missing})
	}
	return w.Encode(map[string]any{
		"type": "summary", "holds": r.Holds(), "rules": rules, "orders": r.States,
		"acknowledged": r.Acknowledged, "terminal": r.Terminal, "open": r.Open, "lost": r.Lost,
	})
}
