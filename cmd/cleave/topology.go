package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cleave-go/cleave/cmd/internal/chart"
	"github.com/cleave-go/cleave/cmd/internal/house"
	"github.com/cleave-go/cleave/platform/module"
)

// topologyCommand draws the house.
func topologyCommand() *cobra.Command {
	var admins []string
	var asJSON, markdown bool
	c := &cobra.Command{
		Use:   "topology",
		Short: "Draw the house: modules, calls, events, and which unit holds what and is well",
		Long: `Draws what the modules declare: what each serves, whom it calls, to whom it listens, and who answers for it. That is the map
which this program carries, or the file that CLEAVE_MAP_FILE names.

With operator's ports it also asks the units: what each holds, whether it is ready and why not, and how it calls the services of the
others: the deadline where a caller has none, how often what is safe to repeat is tried, the state of the breaker, the calls in flight of those
that there may be, and the addresses. Name every replica, each speaks for itself. Then it ends with 1 if a unit is not ready, if no ready unit
holds a module, or if a unit cannot call a service.`,
		Example: `  cleave topology
  cleave topology --admin http://10.0.0.7:9090,http://10.0.0.8:9090
  cleave topology --json | jq -r '.calls[] | .caller + " -> " + .module'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := module.ReadMap(house.Map)
			if err != nil {
				return err
			}
			drawn, out := chart.New(m), cmd.OutOrStdout()
			if len(admins) > 0 {
				drawn.Ask(cmd.Context(), admins)
			}
			switch {
			case asJSON:
				err = json.NewEncoder(out).Encode(drawn)
			case markdown:
				err = drawn.Markdown(out)
			default:
				err = drawn.Text(out)
			}
			if err != nil || len(admins) == 0 {
				return err
			}
			if problems := drawn.Problems(); len(problems) > 0 {
				return fmt.Errorf("the house is not well: %s", strings.Join(problems, "; "))
			}
			return nil
		},
	}
	c.Flags().StringSliceVar(&admins, "admin", nonEmpty(os.Getenv("CLEAVE_ADMIN_URLS")), "operator's port of each process to ask; also by CLEAVE_ADMIN_URLS, with commas; without it nobody is asked")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object")
	c.Flags().BoolVar(&markdown, "markdown", false, "print the page of the documentation, with a Mermaid diagram")
	c.MarkFlagsMutuallyExclusive("json", "markdown")
	return c
}

// nonEmpty returns what stands between the commas of a text; nothing if that is empty.
func nonEmpty(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}
