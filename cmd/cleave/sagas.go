package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/saga/v1/sagav1connect"
)

// sagas is what the command line says about sagas.
type sagas struct {
	admin
	in string // the only module that matters, or ""
}

// sagasCommand looks at work of several steps, such as checkouts.
func sagasCommand() *cobra.Command {
	var s sagas
	c := &cobra.Command{
		Use:   "sagas",
		Short: "See where work of several steps is, such as a checkout, and get on what is stuck",
		Long: `Asks the operator's ports of running processes about the sagas of their modules.

A saga goes from step to step until all are done, or goes back until all are undone. What fails is tried again by itself, with
pauses; what is stuck waits for a person: remove the cause that the saga names, and resume it. Sagas that have ended are kept for
60 days.`,
		Example: `  cleave sagas list
  cleave sagas list --state stuck --kind checkout
  cleave sagas show ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b
  cleave sagas resume ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b --note "the provider has unlocked the account"
  cleave sagas list --state stuck --json | jq -r .id | xargs cleave sagas resume --note "the provider is back"`,
	}
	s.flags(c)
	c.PersistentFlags().StringVar(&s.in, "module", "", "only this module; without it, all that the processes hold")
	_ = c.RegisterFlagCompletionFunc("module", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		bases, _ := s.modules(cmd.Context()) // Without an answer there is nothing to complete.
		return slices.Sorted(maps.Keys(bases)), cobra.ShellCompDirectiveNoFileComp
	})
	c.AddCommand(s.list(), s.show(), s.resume())
	return c
}

// holder is a module that may hold sagas.
type holder struct {
	module string
	sagav1connect.SagaServiceClient
}

// holders returns the modules to ask, in the order of their names.
func (s *sagas) holders(ctx context.Context) ([]holder, error) {
	var bases map[string]string
	var err error
	if s.in == "" {
		bases, err = s.modules(ctx)
	} else {
		bases = map[string]string{}
		bases[s.in], err = s.module(ctx, s.in)
	}
	var all []holder
	for _, name := range slices.Sorted(maps.Keys(bases)) {
		all = append(all, holder{name, sagav1connect.NewSagaServiceClient(http.DefaultClient, bases[name])})
	}
	return all, err
}

// sagaStates are the states by what --state calls them.
var sagaStates = map[string][]sagav1.State{
	"open":    {sagav1.State_STATE_RUNNING, sagav1.State_STATE_WAITING, sagav1.State_STATE_STUCK},
	"running": {sagav1.State_STATE_RUNNING},
	"waiting": {sagav1.State_STATE_WAITING},
	"stuck":   {sagav1.State_STATE_STUCK},
	"ended":   {sagav1.State_STATE_DONE, sagav1.State_STATE_UNDONE},
	"done":    {sagav1.State_STATE_DONE},
	"undone":  {sagav1.State_STATE_UNDONE},
}

// stateNames lists what --state may be in the order of a saga's life.
var stateNames = []string{"open", "running", "waiting", "stuck", "ended", "done", "undone"}

func (s *sagas) list() *cobra.Command {
	var state, kind string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List sagas: those that are open, the oldest first, or those that have ended, the latest first",
		Example: `  cleave sagas list --state stuck
  cleave sagas list --state ended --module orders --limit 20`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			states, known := sagaStates[state]
			if !known {
				return fmt.Errorf("--state %q is none of %s", state, strings.Join(stateNames, ", "))
			}
			if limit < 1 {
				return fmt.Errorf("--limit %d lists nothing", limit)
			}
			holders, err := s.holders(cmd.Context())
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			defer w.Flush()
			left := limit
			for _, h := range holders {
				request := &sagav1.ListSagasRequest{States: states, Kind: kind, LatestFirst: states[0] >= sagav1.State_STATE_DONE}
				for more := true; more; more = request.GetPageToken() != "" {
					request.PageSize = int32(min(max(left, 1), 200))
					page, err := h.ListSagas(cmd.Context(), request)
					if err != nil {
						return fmt.Errorf("%s: %w", h.module, told(err))
					}
					if left == 0 && len(page.GetSagas()) > 0 {
						fmt.Fprintln(cmd.ErrOrStderr(), "There is more: raise --limit, or narrow it down with --state, --kind or --module.")
						return nil
					}
					if left == limit && len(page.GetSagas()) > 0 && !s.json {
						fmt.Fprintln(w, "MODULE\tKIND\tID\tSTATE\tSTEP\tATTEMPT\tAGE\tPROGRESS\tDUE\tWHY")
					}
					for _, saga := range page.GetSagas() {
						if s.json {
							if err := line(cmd.OutOrStdout(), saga, "module", h.module); err != nil {
								return err
							}
							continue
						}
						row(w, h.module, saga)
					}
					left -= len(page.GetSagas())
					request.PageToken = page.GetNextPageToken()
				}
			}
			if left == limit {
				fmt.Fprintln(cmd.ErrOrStderr(), none(state))
			}
			return nil
		},
	}
	c.Flags().StringVar(&state, "state", "open", "one of "+strings.Join(stateNames, ", "))
	c.Flags().StringVar(&kind, "kind", "", "only this kind, for instance checkout")
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// row prints a saga as a row of the list.
func row(w io.Writer, module string, saga *sagav1.Saga) {
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s ago\t%s\t%s\n", module, saga.GetKind(), saga.GetId(), stateOf(saga), stepOf(saga), saga.GetAttempt(),
		length(saga.GetAge()), length(saga.GetSinceProgress()), due(saga), why(saga))
}

// none says that a list is empty.
func none(state string) string {
	if state == "open" {
		return "No saga is open. Those that have ended: --state ended"
	}
	return "No saga is " + state + "."
}

func (s *sagas) show() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show where a saga is and what has happened to it",
		Example: "  cleave sagas show ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, found, err := s.find(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if s.json {
				return line(cmd.OutOrStdout(), found, "module", h.module)
			}
			timeline(cmd.OutOrStdout(), h.module, found)
			return nil
		},
	}
}

// timeline prints a saga and what has happened to it.
func timeline(out io.Writer, module string, found *sagav1.GetSagaResponse) {
	saga := found.GetSaga()
	fmt.Fprintf(out, "%s %s of module %s is %s", saga.GetKind(), saga.GetId(), module, stateOf(saga))
	if step := stepOf(saga); step != "" {
		fmt.Fprintf(out, " at: %s", step)
	}
	progress, because := "last progress", "Goes back"
	if saga.GetState() >= sagav1.State_STATE_DONE {
		progress, because = "ended", "Undone"
	}
	fmt.Fprintf(out, "\nStarted %s ago, %s %s ago", length(saga.GetAge()), progress, length(saga.GetSinceProgress()))
	if saga.GetDueIn() != nil {
		if saga.GetState() == sagav1.State_STATE_RUNNING {
			fmt.Fprintf(out, ", driven by %s, whose lease ends %s", saga.GetDriver(), due(saga))
		} else {
			fmt.Fprintf(out, ", due %s", due(saga))
		}
	}
	fmt.Fprintln(out)
	if saga.GetReason() != "" {
		fmt.Fprintln(out, because, "because of:", saga.GetReason())
	}
	if saga.GetWish() != "" {
		fmt.Fprintln(out, "To be undone because of:", saga.GetWish())
	}
	if saga.GetState() == sagav1.State_STATE_STUCK {
		fmt.Fprintf(out, "Remove the cause and get it on: cleave sagas resume %s --note ...\n", saga.GetId())
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "TIME\tELAPSED\tSTEP\tWHAT\tATTEMPT\tTOOK\tNOTE\n%s\t0s\t\tstarted\t\t\t\n", at(saga.GetCreateTime()))
	entries := found.GetTimeline()
	if len(entries) > 0 && entries[0].GetNumber() > 1 {
		fmt.Fprintf(w, "... %d more\t\t\t\t\t\t\n", entries[0].GetNumber()-1)
	}
	for i, e := range entries {
		// What is tried again and again is told with its first and its last attempt.
		if i > 0 && i+1 < len(entries) && alike(entries[i-1], e) && alike(e, entries[i+1]) {
			if i == 1 || !alike(entries[i-2], e) {
				fmt.Fprintln(w, "...\t\t\t\t\t\t")
			}
			continue
		}
		attempt, took := fmt.Sprint(e.GetAttempt()), length(e.GetDuration())
		if e.GetStep() == "" { // Somebody from outside.
			attempt, took = "", ""
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", at(e.GetTime()), length(e.GetElapsed()), e.GetStep(), e.GetWhat(), attempt, took, oneLine(e.GetNote()))
	}
}

// alike reports whether two entries tell the same.
func alike(e, o *sagav1.Entry) bool {
	return e.GetStep() == o.GetStep() && e.GetWhat() == o.GetWhat() && e.GetNote() == o.GetNote()
}

// find asks each module for a saga.
func (s *sagas) find(ctx context.Context, id string) (holder, *sagav1.GetSagaResponse, error) {
	holders, err := s.holders(ctx)
	if err != nil {
		return holder{}, nil, err
	}
	var in []string
	var of holder
	var found *sagav1.GetSagaResponse
	var asked []string
	for _, h := range holders {
		asked = append(asked, h.module)
		response, err := h.GetSaga(ctx, &sagav1.GetSagaRequest{Id: id})
		if connect.CodeOf(err) == connect.CodeNotFound {
			continue
		}
		if err != nil {
			return holder{}, nil, fmt.Errorf("%s: %w", h.module, told(err))
		}
		in, of, found = append(in, h.module), h, response
	}
	switch len(in) {
	case 0:
		return of, nil, fmt.Errorf("there is no saga %s in %s: list them with cleave sagas list, or name more processes with --admin or CLEAVE_ADMIN_URLS", id, strings.Join(asked, ", "))
	case 1:
		return of, found, nil
	}
	return of, nil, fmt.Errorf("%s each have a saga %s: choose with --module", strings.Join(in, " and "), id)
}

func (s *sagas) resume() *cobra.Command {
	var note string
	c := &cobra.Command{
		Use:   "resume ID...",
		Short: "Have sagas that are stuck, or wait for their next attempt, try again at once",
		Long: `Has sagas that are stuck, or wait for their next attempt, try again at once. Remove the cause first: a saga that is stuck because
of what is still so will be stuck again. The note stays in the timeline.`,
		Example: `  cleave sagas resume ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b --note "the provider has unlocked the account"`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if note == "" {
				note = me()
			}
			var failed []error
			for _, id := range args {
				h, _, err := s.find(cmd.Context(), id)
				if err != nil {
					failed = append(failed, err)
					continue
				}
				response, err := h.ResumeSaga(cmd.Context(), &sagav1.ResumeSagaRequest{Id: id, Note: note})
				switch {
				case err != nil:
					failed = append(failed, fmt.Errorf("%s: %w", id, told(err)))
				case s.json:
					failed = append(failed, line(cmd.OutOrStdout(), response, "module", h.module))
				case response.GetResumed():
					fmt.Fprintf(cmd.OutOrStdout(), "%s tries again: cleave sagas show %s\n", id, id)
				case response.GetSaga().GetState() >= sagav1.State_STATE_DONE:
					fmt.Fprintf(cmd.OutOrStdout(), "%s has ended already: it is %s\n", id, stateOf(response.GetSaga()))
				default:
					fmt.Fprintf(cmd.OutOrStdout(), "%s is being driven already\n", id)
				}
			}
			return errors.Join(failed...)
		},
	}
	c.Flags().StringVar(&note, "note", "", "why, for the timeline; without it, who you are")
	return c
}

// me names who runs the tool.
func me() string {
	host, _ := os.Hostname() // As good as it gets.
	if u, err := user.Current(); err == nil {
		return "by " + u.Username + " at " + host
	}
	return "by somebody at " + host
}

// stateOf is the word for a saga's state.
func stateOf(saga *sagav1.Saga) string {
	return strings.ToLower(strings.TrimPrefix(saga.GetState().String(), "STATE_"))
}

// stepOf names what a saga is to do.
func stepOf(saga *sagav1.Saga) string {
	if saga.GetBack() && saga.GetStep() != "" {
		return "undo " + saga.GetStep()
	}
	return saga.GetStep()
}

// why says why a saga is not where one wishes it.
func why(saga *sagav1.Saga) string {
	var reasons []string
	if saga.GetReason() != "" {
		reasons = append(reasons, saga.GetReason())
	}
	if saga.GetWish() != "" {
		reasons = append(reasons, "to be undone: "+saga.GetWish())
	}
	if note := saga.GetLast().GetNote(); note != "" && note != saga.GetReason() {
		reasons = append(reasons, oneLine(note))
	}
	return strings.Join(reasons, "; ")
}

// due says when somebody looks at a saga.
func due(saga *sagav1.Saga) string {
	switch in := saga.GetDueIn(); {
	case in == nil:
		return "-"
	case in.AsDuration() < 0:
		return length(durationpb.New(-in.AsDuration())) + " ago"
	default:
		return "in " + length(in)
	}
}

// length writes a length of time for people: no more digits than matter.
func length(d *durationpb.Duration) string {
	switch l := d.AsDuration(); {
	case l >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", l/(24*time.Hour), l%(24*time.Hour)/time.Hour)
	case l > time.Hour-time.Minute/2:
		return strings.TrimSuffix(l.Round(time.Minute).String(), "0s") // 5h20m
	case l >= 10*time.Second:
		return l.Round(time.Second).String()
	case l >= time.Second:
		return l.Round(100 * time.Millisecond).String()
	case l >= 10*time.Millisecond:
		return l.Round(time.Millisecond).String()
	default:
		return l.Round(100 * time.Microsecond).String()
	}
}

// oneLine keeps a text within its cell of a table.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
