// Command cleave is the tool beside the product: it talks to a running shop.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cleave-go/cleave/cmd/internal/demo"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // The first signal ends in order, the second one at once.
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
	root.AddCommand(accountsCommand(), certsCommand(), clientsCommand(), mailboxCommand(), demoCommand(), seedCommand(), couponsCommand(), eventsCommand(), keysCommand(), loadCommand(), ordersCommand(), peopleCommand(), productsCommand(), sagasCommand(),
		stockCommand(), topologyCommand(), verifyCommand())
	return root
}

// demoCommand shops through the public port.
func demoCommand() *cobra.Command {
	var shop publicPort
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
			fmt.Fprintf(cmd.OutOrStdout(), "The shop at %s\n", shop.url)
			if err := demo.NewShopper(shop.client(), shop.url, cmd.OutOrStdout()).Shop(ctx); err != nil {
				return shop.explain(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), "\nEvery order ended as it should.")
			return nil
		},
	}
	shop.addFlags(c.Flags())
	c.Flags().DurationVar(&wait, "timeout", time.Minute, "how long it may take in all")
	return c
}

// seedCommand fills a shop through its public port.
func seedCommand() *cobra.Command {
	var shop publicPort
	c := &cobra.Command{
		Use:   "seed",
		Short: "Write the demo catalogue and its stock into a running shop",
		Long: `Writes the demo catalogue through the public port, in the name of somebody who may: staff with the scopes catalog:write
and inventory:write. On a laptop, where nobody signs in, that is everybody. The private database of a single process has the
catalogue from its first start; this is for modules that run apart. It may be repeated.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			err := demo.Seed(ctx, catalogv1connect.NewCatalogServiceClient(shop.client(), shop.url),
				inventoryv1connect.NewInventoryServiceClient(shop.client(), shop.url))
			if err != nil {
				return shop.explain(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The shop has the demo catalogue: %d products.\n", len(demo.Catalogue()))
			return nil
		},
	}
	shop.addFlags(c.Flags())
	return c
}

// publicPort is where and in whose name a command calls the shop.
type publicPort struct{ url, token string }

func (p *publicPort) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&p.url, "url", setting("CLEAVE_URL", "http://127.0.0.1:8080"), "public port of the shop; also by CLEAVE_URL")
	flags.StringVar(&p.token, "token", "", "access token, where one has to sign in; better by CLEAVE_TOKEN, which other users of the machine do not see")
}

// client returns a client that shows the token. It goes where it is sent and no further: a redirect would take the token along.
func (p *publicPort) client() *http.Client {
	token := p.token
	if token == "" {
		token = os.Getenv("CLEAVE_TOKEN")
	}
	if token == "" {
		return http.DefaultClient
	}
	return &http.Client{Transport: bearer{token, http.DefaultTransport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// explain says what to do about an error of the shop.
func (p *publicPort) explain(err error) error {
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return fmt.Errorf("%w: name the file of the authority in SSL_CERT_FILE", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody answers at %s: start it with make run, or name another with --url", p.url)
	case connect.CodeOf(err) == connect.CodeUnauthenticated:
		return fmt.Errorf("%w: name an access token with --token", err)
	}
	return err
}

// bearer is a transport that sends a token with every request.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// setting returns a variable of the environment, or the default where it is not set.
func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
