package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
	"github.com/cleave-go/cleave/platform/id"
)

// desk is where staff does its daily work: the public port of a shop.
type desk struct {
	publicPort
	json bool
}

// flags adds the flags to a group of commands.
func (d *desk) flags(c *cobra.Command) {
	d.addFlags(c.PersistentFlags())
	c.PersistentFlags().BoolVar(&d.json, "json", false, "print JSON, an object a line")
}

// say makes of an error of the shop a sentence that says what to do, and the reason for scripts.
func (d *desk) say(err error) error {
	explained := d.explain(err)
	var connectErr *connect.Error
	if errors.Is(explained, err) && explained.Error() == err.Error() && errors.As(err, &connectErr) && connectErr.Message() != "" {
		return errors.New(connectErr.Message())
	}
	return explained
}

// rows are a table, or lines of JSON.
type rows struct {
	columns []string // Until there is a row.
	w       *tabwriter.Writer
	out     io.Writer
	json    bool
}

// tableUnless returns a table with these columns, unless it is to be JSON.
func tableUnless(cmd *cobra.Command, asJSON bool, columns ...string) *rows {
	return &rows{columns: columns, w: tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0), out: cmd.OutOrStdout(), json: asJSON}
}

// add adds a row of cells, or what they are of as JSON.
func (r *rows) add(of proto.Message, cells ...any) error {
	if r.json {
		return line(r.out, of)
	}
	r.row(cells...)
	return nil
}

func (r *rows) row(cells ...any) {
	if r.columns != nil {
		fmt.Fprintln(r.w, strings.Join(r.columns, "\t"))
		r.columns = nil
	}
	words := make([]string, len(cells))
	for i, cell := range cells {
		words[i] = fmt.Sprint(cell)
	}
	fmt.Fprintln(r.w, strings.Join(words, "\t"))
}

// end writes the table.
func (r *rows) end() { r.w.Flush() }

// pages prints pages of a list, as many items as the limit says, or that there is none. What fetches a page prints it, and returns how many
// items it had.
func (d *desk) pages(cmd *cobra.Command, limit int, none string, fetch func(size int32, token string) (n int, next string, err error)) error {
	if limit < 1 {
		return fmt.Errorf("--limit %d lists nothing", limit)
	}
	token := ""
	for left := limit; left > 0; {
		n, next, err := fetch(int32(min(left, 200)), token)
		if err != nil {
			return d.say(err)
		}
		if n == 0 && left == limit {
			fmt.Fprintln(cmd.ErrOrStderr(), none)
		}
		left, token = left-n, next
		if token == "" {
			return nil
		}
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "There is more: raise --limit.")
	return nil
}

func limitFlag(c *cobra.Command, into *int) { c.Flags().IntVar(into, "limit", 50, "how many at most") }

// requestFlag adds the flag by which a script makes a call that it can repeat.
func requestFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "request-id", "", "repeated with the same id the command does nothing more; a new one by default")
}

// requestID returns the id of a request, a new one if none is given.
func requestID(given string) string {
	if given != "" {
		return given
	}
	return id.New("req")
}

// money writes an amount for people: in minor units, because how many digits are behind the point depends on the currency.
func money(m *typev1.Money) string {
	if m == nil {
		return "-"
	}
	return fmt.Sprintf("%d %s", m.GetAmount(), m.GetCurrency())
}

// parseMoney reads an amount as money writes it.
func parseMoney(text string) (*typev1.Money, error) {
	words := strings.Fields(text)
	if len(words) == 2 {
		if amount, err := strconv.ParseInt(words[0], 10, 64); err == nil {
			return &typev1.Money{Amount: amount, Currency: strings.ToUpper(words[1])}, nil
		}
	}
	return nil, fmt.Errorf("%q is no amount in minor units like \"500 EUR\"", text)
}

// parseCounts reads words such as MUG-OAK-SMALL=2 and gives each to add. A SKU may have = in it.
func parseCounts(words []string, what string, add func(sku string, n int64)) error {
	for _, w := range words {
		i := strings.LastIndex(w, "=")
		n, err := strconv.ParseInt(w[i+1:], 10, 64)
		if i < 1 || err != nil {
			return fmt.Errorf("%q is no %s", w, what)
		}
		add(w[:i], n)
	}
	return nil
}

// parseTime reads a time; "" is none.
func parseTime(flag, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("%s %q is no time like 2026-11-21T08:00:00Z", flag, text)
	}
	return timestamppb.New(t), nil
}

// word makes of a state in a contract the word for people: ORDER_STATE_CANCEL_PENDING is "cancel pending".
func word(state interface{ String() string }, prefix string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(state.String(), prefix)), "_", " ")
}

// suggestFor is how long a completion may take. A shell waits for it.
const suggestFor = 2 * time.Second

// suggestOne completes the first argument of a command, and no other, as suggest does.
func suggestOne(names func(ctx context.Context) ([]string, error)) cobra.CompletionFunc {
	all := suggest(names)
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return all(cmd, args, toComplete)
	}
}

// suggest completes a word with names that it asks the shop for, and says nothing if that does not answer.
func suggest(names func(ctx context.Context) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, suggestFor)
		defer cancel()
		all, err := names(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var fit []string
		for _, name := range all {
			if strings.HasPrefix(name, toComplete) {
				fit = append(fit, name)
			}
		}
		return fit, cobra.ShellCompDirectiveNoFileComp
	}
}
