// Command sandbox is the sandbox payment provider as a process of its own, with a database of its own, as another company's server would
// be. The payments module asks it where CLEAVE_PAYMENTS_SANDBOX_URL says so. See docs/guides/sandbox.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cleave-go/cleave/modules/payments/sandbox"
	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/health"
)

const (
	addrSetting     = "CLEAVE_SANDBOX_ADDR"
	databaseSetting = "DATABASE_URL"
	// stopTimeout is how long running requests may take at the stop. Nobody waits longer for a provider.
	stopTimeout = 10 * time.Second
	// healthTimeout is how long the command healthcheck waits.
	healthTimeout = 4 * time.Second
)

var settings = []config.Setting{
	{Name: addrSetting, Default: "127.0.0.1:9400", Help: "address to listen on", Check: config.IsAddr},
	{Name: databaseSetting, Help: "PostgreSQL server and database; the sandbox keeps its tables in a schema sandbox", Check: config.IsURL("postgres", "postgresql")},
}

func main() {
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "The sandbox payment provider. It takes its settings from the environment:\n\n%s\nsandbox healthcheck asks the one that runs with these settings whether it is ready.\n", config.Help(settings))
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	do := run
	if flag.Arg(0) == "healthcheck" {
		do = healthcheck
	}
	if err := do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		os.Exit(1)
	}
}

// healthcheck asks the sandbox that runs on this machine with these settings whether it is ready.
func healthcheck(ctx context.Context) error {
	values, err := config.Load(settings[:1], os.LookupEnv)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if err := health.Ask(ctx, values.String(addrSetting), health.ReadyPath); err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	fmt.Println("ready")
	return nil
}

func run(ctx context.Context) error {
	values, err := config.Load(settings, os.LookupEnv)
	if err != nil {
		return err
	}
	if !values.IsSet(databaseSetting) {
		return fmt.Errorf("%s is not set: name the PostgreSQL database in which the sandbox remembers what it did", databaseSetting)
	}
	pool, err := sandbox.Open(ctx, values.String(databaseSetting))
	if err != nil {
		return err
	}
	defer pool.Close()
	listener, err := net.Listen("tcp", values.String(addrSetting))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: sandbox.New(pool), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(os.Stderr, "the sandbox provider listens on http://%s\n", listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}
