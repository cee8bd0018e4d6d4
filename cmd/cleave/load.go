package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/cleave-go/cleave/cmd/internal/load"
)

// What the flags of cleave load may ask for.
const (
	mostRate     = 10_000
	mostInFlight = 10_000
	mostStock    = 1_000_000
)

// loadCommand lets many customers come.
func loadCommand() *cobra.Command {
	var shop publicPort
	var a admin
	var o load.Options
	var maxErrors float64
	c := &cobra.Command{
		Use:   "load",
		Short: "Let customers come at a stated rate, and measure what they wait",
		Long: `Lets customers come to the public port of a running shop at a stated rate, whatever the shop does, and measures what they wait.
Latency counts from the moment at which a customer was to arrive. There is room for --max-in-flight of them at once; who finds none is
turned away, and counted as dropped.

Profiles, with how many come for what:
  browse  1 the first page, 10 a product, 2 add to a cart, 3 view a cart, 1 checkout with one to four items
  shop    80 the first page or a product, 20 checkout
  order   50 the first page or a product, 50 checkout
  flash   90 one piece of the same SKU, which is made with --stock pieces, and 10 checkout of something else;
          exactly --stock have to be sold, and that is checked

All customers call as one user, and the public port bounds what one user may do. Set CLEAVE_RATE_LIMIT=0 in the shop, where somebody has to
sign in; on a laptop, where nobody has to, there is no such limit. In any case one user has at most 512 calls and 100 streams at once, and
an order is watched by a stream: see docs/guides/door.md. Orders are paid with pm_card_visa of the sandbox provider. The shop has to have goods: cleave
seed. With a token, flash wants one of staff with the scopes catalog:write and inventory:write.

Ctrl-C lets nobody in any more, and the report follows when those who are there have gone. Ends with 1 if more than --max-errors percent of the
arrivals failed or found no room, or if the sale of flash is not right.`,
		Example: `  cleave load --profile browse --rate 100 --for 5m
  cleave load --profile flash --stock 50 --rate 200 --for 10s
  cleave load --profile order --rate 20 --for 1m --max-errors 0.1 --json | jq .processor_seconds_per_1000_requests`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := check(o); err != nil {
				return err
			}
			o.URL, o.Client, o.Admins = shop.url, shop.manyConnections(o.MaxInFlight), a.urls
			progress, done := showProgress(cmd.ErrOrStderr(), o.For)
			o.Progress = progress
			report, err := load.Run(cmd.Context(), o)
			done()
			if err != nil {
				return shop.explain(err)
			}
			if a.json {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			} else {
				err = tellLoad(cmd.OutOrStdout(), report)
			}
			switch {
			case err != nil:
				return err
			case report.Sale != nil && report.Sale.Problem() != "":
				return fmt.Errorf("the sale is not right: %s", report.Sale.Problem())
			case cmd.Flags().Changed("max-errors") && report.Bad() > maxErrors:
				return fmt.Errorf("%.2f %% of the arrivals failed or found no room, more than the %g %% of --max-errors%s", report.Bad(), maxErrors, hint(report))
			}
			return nil
		},
	}
	shop.addFlags(c.Flags())
	a.flags(c)
	flags := c.Flags()
	flags.StringVar(&o.Profile, "profile", "shop", "what customers come for: "+strings.Join(load.Profiles(), ", "))
	flags.Float64Var(&o.Rate, "rate", 20, "how many customers come in a second")
	flags.DurationVar(&o.For, "for", 30*time.Second, "for how long they come")
	flags.IntVar(&o.MaxInFlight, "max-in-flight", 100, "how many may be there at once")
	flags.Int64Var(&o.Stock, "stock", 50, "pieces of what everybody wants, for the flash profile")
	flags.Float64Var(&maxErrors, "max-errors", 0, "percentage of the arrivals that may fail or find no room; any if it is not given")
	return c
}

// check says what is wrong with the flags.
func check(o load.Options) error {
	switch {
	case !slices.Contains(load.Profiles(), o.Profile):
		return fmt.Errorf("--profile %q is none of %s", o.Profile, strings.Join(load.Profiles(), ", "))
	case !(o.Rate > 0 && o.Rate <= mostRate):
		return fmt.Errorf("--rate is more than 0 and at most %d", mostRate)
	case o.For <= 0:
		return errors.New("--for is a duration like 30s or 10m")
	case o.MaxInFlight < 1 || o.MaxInFlight > mostInFlight:
		return fmt.Errorf("--max-in-flight is a number from 1 to %d", mostInFlight)
	case o.Stock < 1 || o.Stock > mostStock:
		return fmt.Errorf("--stock is a number from 1 to %d", mostStock)
	}
	return nil
}

// manyConnections returns a client like that of client which keeps so many connections. They are of HTTP/1.1, so that no customer waits
// for a stream of a connection that others have filled.
func (p *publicPort) manyConnections(number int) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	transport := &http.Transport{Protocols: protocols, Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: number}
	client := p.client()
	if b, ok := client.Transport.(bearer); ok {
		b.next = transport
		client.Transport = b
		return client
	}
	return &http.Client{Transport: transport}
}

// lineEvery is how often there is a line about the progress where nobody watches.
const lineEvery = 10 * time.Second

// showProgress returns what shows the progress: one line that changes on a terminal, and lines elsewhere. done ends it.
func showProgress(out io.Writer, total time.Duration) (show func(load.Progress), done func()) {
	terminal, told := isTerminal(out), time.Duration(0)
	show = func(p load.Progress) {
		if !terminal && p.Elapsed-told < lineEvery {
			return
		}
		told = p.Elapsed
		begin, end := "", "\n"
		if terminal {
			begin, end = "\r\033[K", ""
		}
		fmt.Fprintf(out, "%s%s of %s: %d came, %d there, %d failed, %d dropped, p50 %s, p99 %s%s", begin, p.Elapsed.Round(time.Second), total,
			p.Arrivals, p.UnderWay, p.Failed, p.Dropped, brief(p.P50), brief(p.P99), end)
	}
	return show, func() {
		if terminal {
			fmt.Fprint(out, "\r\033[K")
		}
	}
}

// brief writes a duration with three digits.
func brief(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// tellLoad prints the report for people.
func tellLoad(out io.Writer, r *load.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(l load.Line) {
		fmt.Fprintf(w, "  %s\t%d\t%s\t%s\t%s\t%s\t%s\n", l.Name, l.Count, brief(time.Duration(l.P50)), brief(time.Duration(l.P95)), brief(time.Duration(l.P99)),
			brief(time.Duration(l.Max)), counts(l.Errors))
	}
	fmt.Fprintln(w, "VISITS, from arrival to the end\tOK\tP50\tP95\tP99\tMAX\tERRORS")
	for _, l := range r.Visits {
		row(l)
	}
	fmt.Fprintln(w, "CALLS\tOK\tP50\tP95\tP99\tMAX\tERRORS")
	for _, l := range r.Methods {
		row(l)
	}
	if r.Settled.Count > 0 || len(r.Settled.Errors) > 0 {
		row(r.Settled)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%d came, %.1f a second with room for them, of %g a second; %d found none, and the visits of %d failed: %.2f %% together\n",
		r.Arrivals, r.RateReached, r.Rate, r.Dropped, r.Failed, r.Bad())
	if r.Interrupted {
		fmt.Fprintln(out, "ended early")
	}
	fmt.Fprintf(out, "let in late by the generator itself: p99 %s, at most %s; that is part of the latency\n", brief(time.Duration(r.LateP99)), brief(time.Duration(r.LateMax)))
	if len(r.Orders) > 0 {
		fmt.Fprintf(out, "orders: %s\n", counts(r.Orders))
	}
	if r.ProcessorProblem != "" {
		fmt.Fprintf(out, "processor time of the shop: not known, %s\n", r.ProcessorProblem)
	} else {
		fmt.Fprintf(out, "processor time of the shop, without its database: %.1f s for %d requests, %.2f s for 1,000\n", r.ProcessorSeconds, r.Requests, r.ProcessorPerThousand)
	}
	if s := r.Sale; s != nil {
		fmt.Fprintf(out, "the sale of %s: %d pieces, %d asked, %d confirmed, %d refused, %d left: ", s.SKU, s.Pieces, s.Asked, s.Confirmed, s.Refused, s.Left)
		if s.Problem() == "" {
			fmt.Fprintln(out, "exactly as many were sold as there were")
		} else {
			fmt.Fprintln(out, "not right")
		}
	}
	if h := hint(r); h != "" {
		fmt.Fprintln(out, strings.TrimPrefix(h, ": "))
	}
	return nil
}

// hint says what to do about refusals that the load itself is the reason of.
func hint(r *load.Report) string {
	n := r.Errors(connect.CodeResourceExhausted)
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(": the public port has refused %d calls, because one user made them all: set CLEAVE_RATE_LIMIT=0 in the shop, and keep --max-in-flight at 100 or less; or because that was more than it serves at once, see CLEAVE_BUSY_AT (docs/guides/door.md)", n)
}

// counts lists names with their numbers, the largest first.
func counts(numbers map[string]int64) string {
	var all []string
	for _, name := range slices.SortedFunc(maps.Keys(numbers), func(a, b string) int {
		if numbers[a] != numbers[b] {
			return int(numbers[b] - numbers[a])
		}
		return strings.Compare(a, b)
	}) {
		all = append(all, fmt.Sprintf("%d %s", numbers[name], name))
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ", ")
}
