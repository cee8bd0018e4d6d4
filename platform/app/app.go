// Package app is the host: it reads the settings, opens databases and listeners, builds the modules of a binary, and stops them in
// order. It decides which module is called directly and which over the network; the modules do not know.
//
// The life of a process:
//
//	settings → listeners → databases (roles, schema, migrations) → modules built → jobs → public and internal port → ready
//
// and back, when a signal comes or a part fails:
//
//	not ready → drain delay → ports drained → tasks and jobs finished → databases closed → private PostgreSQL stopped
package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Program is what a binary is made of.
type Program struct {
	// Name is the name of the binary.
	Name string
	// Modules live in this binary.
	Modules []module.Module
	// Edge are the contracts that the public port serves; empty for a binary without one.
	Edge []*rpc.Service
	// OpenAPI is the document that describes them, in JSON.
	OpenAPI []byte
	// Map is the map of the house, in JSON.
	Map []byte
	// PrivateDatabase lets the program start a PostgreSQL of its own when no database is set.
	PrivateDatabase bool
	// Seed fills a new private database, before the program is ready. It may be run again if it was interrupted.
	Seed func(ctx context.Context, server *rpc.Directory) error
}

// gcPercent is how much the heap grows between two collections, unless GOGC says otherwise. What lives is about 12 MB, so that this costs
// 36 MB more than the default where there is much to do, and collecting takes a quarter of the processor time.
const gcPercent = 400

// Main runs the program with the arguments of the process and does not return.
func Main(p Program) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal begins the stop, the second one ends the process at once.
	context.AfterFunc(ctx, stop)
	err := p.command().ExecuteContext(ctx)
	if err == nil || ctx.Err() != nil { // What was asked to stop has not failed.
		os.Exit(0)
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintf(os.Stderr, "%s: %s\n", p.Name, line)
	}
	os.Exit(1)
}

// command returns the command line of the program.
func (p Program) command() *cobra.Command {
	root := &cobra.Command{
		Use:           p.Name,
		Short:         "Serve " + p.contents(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			unit, err := p.load()
			if err != nil {
				return err
			}
			return unit.serve(cmd.Context())
		},
	}
	root.AddCommand(
		healthcheckCommand(),
		&cobra.Command{
			Use: "migrate", Short: "Bring the schemas up to date, and stop", Args: cobra.NoArgs,
			Long: "Create the roles and schemas of the modules in this binary where they are missing, run their migrations, and stop.\nSafe to repeat, and safe while the program runs elsewhere.",
			RunE: func(cmd *cobra.Command, _ []string) error {
				unit, err := p.load()
				if err != nil {
					return err
				}
				return unit.migrate(cmd.Context())
			},
		},
		&cobra.Command{
			Use: "map", Short: "Print the declarations of the modules in this binary as JSON", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(module.NewMap(p.Modules))
			},
		},
	)
	if p.Seed != nil {
		root.AddCommand(&cobra.Command{
			Use: "seed", Short: "Write the demo catalogue into the database, and stop", Args: cobra.NoArgs,
			Long: "Write the demo catalogue and its stock into the database that is set, and stop. A private database has it from its\nfirst start. What is there already is left as it is.",
			RunE: func(cmd *cobra.Command, _ []string) error {
				unit, err := p.load()
				if err != nil {
					return err
				}
				return unit.seed(cmd.Context())
			},
		})
	}
	houseMap, _ := module.ParseMap(p.Map) // A map that cannot be read is reported when the program starts.
	root.SetUsageTemplate(root.UsageTemplate() + "\nSettings, from the environment (NAME_FILE names a file that holds the value of NAME):\n" + config.Help(p.settings(houseMap)))
	return root
}

// contents names what is in the binary.
func (p Program) contents() string {
	names := make([]string, 0, len(p.Modules)+1)
	for _, m := range p.Modules {
		names = append(names, m.Name)
	}
	if len(p.Edge) > 0 {
		names = append(names, "edge")
	}
	return strings.Join(names, ", ")
}
