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
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cleave:", err)
		os.Exit(exitCode(err))
	}
}

// withCode is an error that ends the program with a code of its own.
type withCode struct {
	error
	code int
}

// exitCode returns what the program ends with because of an error: 1 unless the error says otherwise.
func exitCode(err error) int {
	var own withCode
	if errors.As(err, &own) {
		return own.code
	}
	return 1
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "cleave", Short: "The tool beside Cleave", SilenceErrors: true, SilenceUsage: true,
	}
	root.AddCommand(demoCommand(), seedCommand(), eventsCommand(), sagasCommand(), verifyCommand())
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

// seedCommand fills a shop over the internal ports of its modules.
func seedCommand() *cobra.Command {
	var catalogURL, inventoryURL string
	c := &cobra.Command{
		Use:   "seed",
		Short: "Write the demo catalogue and its stock into a shop that is apart",
		Long: `Writes the demo catalogue over the internal ports of the modules catalog and inventory. The private database of a single
process has it from its first start; this is for modules that run apart. It may be repeated.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			err := demo.Seed(ctx, catalogv1connect.NewCatalogServiceClient(http.DefaultClient, catalogURL),
				inventoryv1connect.NewInventoryServiceClient(http.DefaultClient, inventoryURL))
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The shop has the demo catalogue: %d products.\n", len(demo.Catalogue()))
			return nil
		},
	}
	c.Flags().StringVar(&catalogURL, "catalog-url", setting("CLEAVE_CATALOG_URL", "http://catalog:9080"), "internal port of module catalog, also by CLEAVE_CATALOG_URL")
	c.Flags().StringVar(&inventoryURL, "inventory-url", setting("CLEAVE_INVENTORY_URL", "http://inventory:9080"), "internal port of module inventory, also by CLEAVE_INVENTORY_URL")
	return c
}

// setting returns a variable of the environment, or the default where it is not set.
func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
