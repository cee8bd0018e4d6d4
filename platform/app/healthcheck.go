package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/health"
)

// healthcheckCommand asks the program that runs beside it, with the same settings: for images that have neither a shell nor curl.
func healthcheckCommand() *cobra.Command {
	var live, ready, startup bool
	var timeout time.Duration
	c := &cobra.Command{
		Use: "healthcheck", Short: "Ask the program that runs with these settings whether it is ready", Args: cobra.NoArgs,
		Long: "Ask the operator's port of the program that runs on this machine with these settings whether it is ready, or started, or alive.\nIt ends with 0 for yes and with 1 for no, and says why.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			values, err := config.Load([]config.Setting{adminSetting}, os.LookupEnv)
			if err != nil {
				return err
			}
			path, word := health.ReadyPath, "ready"
			switch {
			case live:
				path, word = health.LivePath, "alive"
			case startup:
				path, word = health.StartupPath, "started"
			}
			if timeout <= 0 {
				return errors.New("--timeout must be more than nothing")
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			if err := health.Ask(ctx, values.String(adminAddr), path); err != nil {
				return fmt.Errorf("not %s: %w", word, err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), word)
			return err
		},
	}
	c.Flags().BoolVar(&ready, "ready", false, "whether it is ready: it can do its own work (this is the default)")
	c.Flags().BoolVar(&startup, "startup", false, "whether it is started: it has been ready once")
	c.Flags().BoolVar(&live, "live", false, "whether it is alive: it answers")
	c.Flags().DurationVar(&timeout, "timeout", 4*time.Second, "how long to wait for the answer")
	c.MarkFlagsMutuallyExclusive("ready", "startup", "live")
	return c
}
