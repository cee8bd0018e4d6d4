// Command bench measures how fast and how large Cleave is, and prints each figure beside its target.
//
//	go run ./internal/bench --only checkout --rounds 5
//
// Machines are noisy, so what can be compared is compared: two things alternate in one run, each pair gives a ratio, and the median of
// the ratios is the figure. Nothing fails because it is slow; the program ends with 1 only if something could not be measured.
//
// It owns the measuring, a throwaway PostgreSQL and the processes that it starts, all on loopback, and leaves none of them behind.
// What the figures mean and why they are what they are is in docs/performance.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// plan says how long to measure.
type plan struct {
	rounds int
	// window is how long one thing is measured in a round in which customers buy.
	window time.Duration
	// warmUp is how long customers buy before a window begins.
	warmUp time.Duration
	// say tells a person what goes on.
	say func(format string, args ...any)
}

// The bounds of the flags: no run lasts for hours by a slip of the finger.
const (
	maxRounds  = 20
	maxSeconds = 300
	maxWarmUp  = 120
)

func command() *cobra.Command {
	var only []string
	var rounds, seconds, warmUp int
	var asJSON bool
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure speed and size, as ratios of two things in one run",
		Long: `Measures, in this order:

  seam      a call in this process, against the same call through Connect in memory and over loopback
  edge      a call through the public port, against the same method without it; REST against Connect
  start     a start with the database up, until /readyz answers 200
  idle      memory, processor time and database connections of a shop where nobody shops
  events    publishing against a row in a plain outbox, delivery against River without work, and how long an event takes
  latency   how long an order takes whose customer has the shop to himself
  apart     orders of eight customers where each module is a program of its own, against all in one
  telemetry orders of the same customers where one trace in a hundred is sent to a collector, against nothing sent
  checkout  orders of eight customers, whose carts are filled, against the same commits written by hand and run by pgbench
  orders    orders and lists of orders where there have been 1,000,000, against 10,000
  import    100,000 rows of a CSV
  search    how long a search in 100,000 products takes, at 50 per second

Ends with 0 whether targets are met or not, with 1 if something could not be measured.`,
		Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, flag := range []struct {
				name            string
				value, min, max int
			}{{"rounds", rounds, 1, maxRounds}, {"seconds", seconds, 1, maxSeconds}, {"warmup", warmUp, 0, maxWarmUp}} {
				if flag.value < flag.min || flag.value > flag.max {
					return fmt.Errorf("--%s is %d: choose %d to %d", flag.name, flag.value, flag.min, flag.max)
				}
			}
			for _, name := range only {
				if !slices.Contains(parts, name) {
					return fmt.Errorf("--only %s: there are %s", name, strings.Join(parts, ", "))
				}
			}
			if len(only) == 0 {
				only = parts
			}
			p := plan{
				rounds: rounds, window: time.Duration(seconds) * time.Second, warmUp: time.Duration(warmUp) * time.Second,
				say: func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) },
			}
			r := newReport(cmd.Context())
			err := measure(cmd.Context(), p, only, r)
			write := r.writeTable
			if asJSON {
				write = r.writeJSON
			}
			if len(r.Figures) == 0 {
				return err
			}
			return errors.Join(err, write(cmd.OutOrStdout()))
		},
	}
	c.AddCommand(edgeServerCommand())
	c.Flags().StringSliceVar(&only, "only", nil, "measure only these: "+strings.Join(parts, ", "))
	c.Flags().IntVar(&rounds, "rounds", 3, fmt.Sprintf("how often each thing is measured, at most %d", maxRounds))
	c.Flags().IntVar(&seconds, "seconds", 12, fmt.Sprintf("how long one side is measured in a round in which customers buy, at most %d", maxSeconds))
	c.Flags().IntVar(&warmUp, "warmup", 5, fmt.Sprintf("seconds of shopping before that, at most %d", maxWarmUp))
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with every sample, instead of a table")
	return c
}

// parts are what can be measured, in the order of a run: a shop is idle only before it has had orders.
var parts = []string{"seam", "edge", "start", "idle", "events", "latency", "apart", "telemetry", "checkout", "orders", "import", "search"}

// measure fills the report. A part that fails does not keep the others from being measured.
func measure(ctx context.Context, p plan, only []string, r *report) (err error) {
	defer func() {
		if ctx.Err() != nil { // Whatever failed, failed because of it.
			err = errors.New("interrupted")
		}
	}()
	if slices.Contains(only, "seam") {
		err = named("seam", measureSeam(ctx, p, r))
	}
	if slices.Contains(only, "edge") && ctx.Err() == nil {
		err = errors.Join(err, named("edge", measureEdge(ctx, p, r)))
	}
	if !slices.ContainsFunc(only, func(name string) bool { return name != "seam" && name != "edge" }) || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, measureShop(ctx, p, only, r))
}

// measureShop measures what needs a shop.
func measureShop(ctx context.Context, p plan, only []string, r *report) (err error) {
	s, err := openStand(ctx, p)
	if err != nil {
		return fmt.Errorf("prepare a shop: %w", err)
	}
	defer func() {
		if closeErr := s.close(); closeErr != nil {
			p.say("something may be left behind in %s: %v", s.dir, closeErr)
			err = errors.Join(err, closeErr)
		}
	}()
	for _, part := range []struct {
		name    string
		measure func(context.Context, plan, *stand, *report) error
	}{{"start", measureStart}, {"idle", measureIdle}, {"events", measureEvents}, {"latency", measureLatency}, {"apart", measureApart}, {"telemetry", measureTelemetry}, {"checkout", measureCheckout}, {"orders", measureOrdersBefore}, {"import", measureImport}, {"search", measureSearch}} {
		if slices.Contains(only, part.name) && ctx.Err() == nil {
			err = errors.Join(err, named(part.name, part.measure(ctx, p, s, r)))
		}
	}
	return err
}

// named says in which part an error happened.
func named(part string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", part, err)
}
