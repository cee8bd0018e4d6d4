package main

import (
	"context"
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
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1connect"
)

// eventsCommand looks at what modules tell each other.
func eventsCommand() *cobra.Command {
	var a admin
	c := &cobra.Command{
		Use:   "events",
		Short: "See what modules have published, who listens, and deliver it again",
		Long: `Asks the operator's ports of running processes about the event logs of their modules.

An event is published once and kept for good. Whoever listens has a cursor beside the publisher's log; what a listener
refuses is tried again by itself for about a day and then kept, until somebody has it retried.`,
		Example: `  cleave events list orders --since 1h --subject ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b
  cleave events subscribers
  cleave events replay orders notifications --since 24h
  cleave events retry orders notifications
  cleave events remove orders notifications`,
	}
	a.flags(c)
	c.AddCommand(a.listEvents(), a.listSubscribers(), a.replay(), a.retry(), a.remove())
	return c
}

// events returns the client of a module's event service.
func (a *admin) events(ctx context.Context, module string) (eventv1connect.EventServiceClient, error) {
	base, err := a.module(ctx, module)
	if err != nil {
		return nil, err
	}
	return eventv1connect.NewEventServiceClient(http.DefaultClient, base), nil
}

// span is a part of a log, as flags.
type span struct {
	since    time.Duration
	from, to string
	types    []string
	subject  string
}

func (s *span) flags(c *cobra.Command) {
	c.Flags().DurationVar(&s.since, "since", 0, "only what is not older than this, for instance 90m")
	c.Flags().StringVar(&s.from, "from", "", "only from this time on, for instance 2026-11-21T08:00:00Z")
	c.Flags().StringVar(&s.to, "to", "", "only before this time")
	c.Flags().StringSliceVar(&s.types, "type", nil, "only this type, for instance orders.v1.OrderConfirmed; may be repeated")
	c.Flags().StringVar(&s.subject, "subject", "", "only what is about this, for instance the id of an order")
	c.MarkFlagsMutuallyExclusive("since", "from")
}

func (s *span) wire() (*eventv1.Range, error) {
	r := &eventv1.Range{Types: s.types, Subject: s.subject}
	if s.since > 0 {
		r.FromTime = timestamppb.New(time.Now().Add(-s.since))
	}
	for _, end := range []struct {
		flag, text string
		into       **timestamppb.Timestamp
	}{{"--from", s.from, &r.FromTime}, {"--to", s.to, &r.ToTime}} {
		if end.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, end.text)
		if err != nil {
			return nil, fmt.Errorf("%s %q is no time like 2026-11-21T08:00:00Z", end.flag, end.text)
		}
		*end.into = timestamppb.New(at)
	}
	return r, nil
}

func (a *admin) listEvents() *cobra.Command {
	var within span
	var limit int
	c := &cobra.Command{
		Use:     "list MODULE",
		Short:   "List what a module has published, the oldest first",
		Example: "  cleave events list orders --since 1h --type orders.v1.OrderConfirmed",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := within.wire()
			if err != nil {
				return err
			}
			client, err := a.events(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			defer w.Flush()
			if !a.json {
				fmt.Fprintln(w, "TIME\tTYPE\tSUBJECT\tSEQUENCE\tID\tMESSAGE")
			}
			request := &eventv1.ListEventsRequest{Range: r}
			for left := limit; left > 0; {
				request.PageSize = int32(min(left, 200))
				page, err := client.ListEvents(cmd.Context(), request)
				if err != nil {
					return told(err)
				}
				for _, logged := range page.GetEvents() {
					if a.json {
						if err := line(cmd.OutOrStdout(), logged); err != nil {
							return err
						}
						continue
					}
					e := logged.GetEvent()
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", at(e.GetTime()), e.GetType(), e.GetSubject(), e.GetSequence(), e.GetId(), logged.GetJson())
				}
				left -= len(page.GetEvents())
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					return nil
				}
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "There is more: raise --limit, or begin later with --from or --since.\n")
			return nil
		},
	}
	within.flags(c)
	c.Flags().IntVar(&limit, "limit", 100, "how many at most")
	return c
}

func (a *admin) listSubscribers() *cobra.Command {
	return &cobra.Command{
		Use:   "subscribers [MODULE]",
		Short: "List who listens to a module, or to any, how far each has got, and what it refused",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bases, err := a.modules(cmd.Context())
			if err != nil {
				return err
			}
			names := slices.Sorted(maps.Keys(bases))
			if len(args) == 1 {
				if _, err := a.module(cmd.Context(), args[0]); err != nil {
					return err
				}
				names = args
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			defer w.Flush()
			if !a.json {
				fmt.Fprintln(w, "PUBLISHER\tSUBSCRIBER\tBEHIND\tFOR\tRETRYING\tKEPT\tTYPES\tPROBLEM")
			}
			for _, name := range names {
				list, err := eventv1connect.NewEventServiceClient(http.DefaultClient, bases[name]).ListSubscribers(cmd.Context(), &eventv1.ListSubscribersRequest{})
				if err != nil {
					return fmt.Errorf("%s: %w", name, told(err))
				}
				for _, s := range list.GetSubscribers() {
					if a.json {
						if err := line(cmd.OutOrStdout(), s, "publisher", name); err != nil {
							return err
						}
						continue
					}
					problem := ""
					if s.GetError() != "" {
						problem = s.GetError() + " (since " + at(s.GetErrorTime()) + ")"
					}
					fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%d\t%s\t%s\n", name, s.GetName(), s.GetLagEvents(),
						(time.Duration(s.GetLagSeconds()*1e3) * time.Millisecond).String(), s.GetRetrying(), s.GetKept(), strings.Join(s.GetTypes(), " "), problem)
					for _, f := range s.GetFailures() {
						state := "retrying"
						if f.GetKept() {
							state = "kept"
						}
						fmt.Fprintf(w, "\t  %s %s %s %s after %d attempts: %s\n", state, f.GetEventId(), f.GetType(), f.GetSubject(), f.GetAttempts(), f.GetError())
					}
				}
			}
			return nil
		},
	}
}

func (a *admin) replay() *cobra.Command {
	var within span
	var force bool
	c := &cobra.Command{
		Use:   "replay PUBLISHER SUBSCRIBER",
		Short: "Deliver a part of a log to a subscriber once more",
		Long: `Delivers a part of a module's log to a subscriber once more, and tells how far it has got. The subscriber applies what it has
not applied before: it may be repeated, and is safe beside normal delivery. With --force it also applies again what it has
applied, for a subscriber whose data were lost or wrong.`,
		Example: "  cleave events replay orders notifications --from 2026-11-21T08:00:00Z --to 2026-11-21T09:00:00Z",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := within.wire()
			if err != nil {
				return err
			}
			client, err := a.events(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			stream, err := client.Replay(cmd.Context(), &eventv1.ReplayRequest{Subscriber: args[1], Range: r, Force: force})
			if err != nil {
				return told(err)
			}
			defer stream.Close()
			last := &eventv1.ReplayResponse{}
			shown := time.Now()
			for stream.Receive() {
				last = stream.Msg()
				if a.json {
					if err := line(cmd.OutOrStdout(), last); err != nil {
						return err
					}
				} else if time.Since(shown) > time.Second {
					shown = time.Now()
					fmt.Fprintf(cmd.ErrOrStderr(), "%d events delivered, the last of %s\n", last.GetDelivered(), at(last.GetTime()))
				}
			}
			if err := stream.Err(); err != nil && last.GetDelivered() > 0 {
				return fmt.Errorf("%w; repeat it to go on", told(err))
			} else if err != nil {
				return told(err)
			}
			if !a.json {
				fmt.Fprintf(cmd.OutOrStdout(), "%d events delivered, %d of them refused", last.GetDelivered(), last.GetFailed())
				if last.GetFailed() > 0 {
					fmt.Fprint(cmd.OutOrStdout(), " and tried again by themselves")
				}
				fmt.Fprintln(cmd.OutOrStdout())
			}
			return nil
		},
	}
	within.flags(c)
	c.Flags().BoolVar(&force, "force", false, "apply also what has been applied before")
	return c
}

func (a *admin) retry() *cobra.Command {
	return &cobra.Command{
		Use:   "retry PUBLISHER SUBSCRIBER [EVENT]",
		Short: "Try the events once more that a subscriber refused and that are kept, or one of them",
		Args:  cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.events(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			request := &eventv1.RetryKeptRequest{Subscriber: args[1]}
			if len(args) == 3 {
				request.EventId = args[2]
			}
			response, err := client.RetryKept(cmd.Context(), request)
			if err != nil {
				return told(err)
			}
			if a.json {
				return line(cmd.OutOrStdout(), response)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d kept events are tried once more\n", response.GetRetried())
			return nil
		},
	}
}

func (a *admin) remove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove PUBLISHER SUBSCRIBER",
		Short: "End the subscription of a module that is gone",
		Long: `Ends a subscription: its cursor, and what the subscriber refused. Nothing else ends one, because a module that is down for long
must not lose what it has missed. A module that still listens subscribes anew when it starts the next time.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := a.events(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if _, err := client.RemoveSubscriber(cmd.Context(), &eventv1.RemoveSubscriberRequest{Subscriber: args[1]}); err != nil {
				return told(err)
			}
			if a.json {
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s no longer listens to %s\n", args[1], args[0])
			return nil
		},
	}
}

// told makes of an error of the seam the sentence that it carries.
func told(err error) error {
	var connectErr *connect.Error
	if errors.As(err, &connectErr) && connectErr.Message() != "" {
		return errors.New(connectErr.Message())
	}
	return err
}

// line prints a message as one line of JSON, with more members.
func line(w io.Writer, m proto.Message, more ...string) error {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return err
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	for i := 0; i+1 < len(more); i += 2 {
		object[more[i]] = more[i+1]
	}
	return json.NewEncoder(w).Encode(object)
}

// at writes a time for people.
func at(t *timestamppb.Timestamp) string {
	if t == nil {
		return "-"
	}
	return t.AsTime().Local().Format("2006-01-02 15:04:05.000")
}
