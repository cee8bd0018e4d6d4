// Command cleave is the tool beside the product: it talks to a running shop.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cleave-go/cleave/cmd/internal/demo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cleave:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "cleave", Short: "The tool beside Cleave", SilenceErrors: true, SilenceUsage: true,
	}
	root.AddCommand(demoCommand())
	return root
}

// demoCommand shops through the public port.
func demoCommand() *cobra.Command {
	var url string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "demo",
		Short: "Shop as a customer would: browse, order, a declined card, out of stock, cancel and refund",
		Long: `Shops through the public port of a running Cleave, which must have the demo catalogue (a private database has it from
its first start), and prints what happens to each order. Ends with 1 if an order does not end as it should.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), wait)
			defer cancel()
			fmt.Fprintf(cmd.OutOrStdout(), "The shop at %s\n", url)
			err := demo.NewShopper(http.DefaultClient, url, cmd.OutOrStdout()).Shop(ctx)
			if errors.Is(err, syscall.ECONNREFUSED) {
				return fmt.Errorf("nobody answers at %s: start it with make run, or name another with --url", url)
			}
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), "\nEvery order ended as it should.")
			}
			return err
		},
	}
	c.Flags().StringVar(&url, "url", "http://127.0.0.1:8080", "public port of the shop")
	c.Flags().DurationVar(&wait, "timeout", time.Minute, "how long it may take in all")
	return c
}
