package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cleave-go/cleave/cmd/internal/house"
	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1connect"
	personv1 "github.com/cleave-go/cleave/gen/cleave/platform/person/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/person/v1/personv1connect"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/module"
)

// people is what the command line says about what modules hold of people.
type people struct{ admin }

// peopleCommand exports what the house knows of a person, and has it forget.
func peopleCommand() *cobra.Command {
	var p people
	c := &cobra.Command{
		Use:   "people",
		Short: "Export what is known of a person, have a person forgotten, and see what each module has done about it",
		Long: `Asks the operator's ports of running processes what their modules hold of a person. Together they must hold every module
of the map of the house: what nobody was asked for nobody has exported or forgotten.

A person is named by the subject of the tokens: the id of the account, usr_…, which cleave accounts show finds by the e-mail address.`,
		Example: `  cleave people export usr_01a1fdad074278e680c5e4fa22541122 > jane.json
  cleave people erase usr_01a1fdad074278e680c5e4fa22541122
  cleave people report usr_01a1fdad074278e680c5e4fa22541122
  cleave people erase --email grace@example.org`,
	}
	p.flags(c)
	c.AddCommand(p.erase(), p.report(), p.export())
	return c
}

// personHolder is a module that may hold something of people.
type personHolder struct {
	module string
	personv1connect.PersonServiceClient
}

// all returns every module of the house, in the order of their names. It fails if one was not named, because then what it would say is missing.
func (p *people) all(ctx context.Context) ([]personHolder, error) {
	bases, err := p.modules(ctx)
	if err != nil {
		return nil, err
	}
	m, err := module.ReadMap(house.Map)
	if err != nil {
		return nil, err
	}
	if missing := slices.DeleteFunc(m.Names(), func(name string) bool { return bases[name] != "" }); len(missing) > 0 {
		return nil, fmt.Errorf("no process at %s holds %s: name the others with --admin or CLEAVE_ADMIN_URLS", strings.Join(p.urls, ", "), strings.Join(missing, ", "))
	}
	var all []personHolder
	for _, name := range slices.Sorted(maps.Keys(bases)) {
		all = append(all, personHolder{name, personv1connect.NewPersonServiceClient(http.DefaultClient, bases[name])})
	}
	return all, nil
}

func (p *people) erase() *cobra.Command {
	var email, erasureID string
	c := &cobra.Command{
		Use:   "erase PERSON",
		Short: "Have a person forgotten, for good: nothing brings it back",
		Long: `Has the whole house forget a person. Identity does so at once, the other modules as soon as they hear of it: cleave people report
says when all have.

With --email it forgets what is known by an e-mail address alone: where guests wanted to be written to about their orders, and
what they were mailed. An account with that address stays: name it by its id. It says first what the report is kept under: repeated
with that as --erasure it completes the same report.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (email == "") == (len(args) == 0) || email == "" && erasureID != "" {
				return errors.New("name a person, or an e-mail address with --email")
			}
			if email != "" {
				return p.eraseEmail(cmd, email, cmp.Or(erasureID, id.New("ers")))
			}
			base, err := p.own(cmd.Context(), "identity")
			if err != nil {
				return err
			}
			desk := identityv1connect.NewDeskServiceClient(http.DefaultClient, base)
			if _, err := desk.ErasePerson(cmd.Context(), &identityv1.ErasePersonRequest{Subject: args[0]}); err != nil {
				return told(err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is to be forgotten. Whether all have done so says: cleave people report %s\n", args[0], args[0])
			return nil
		},
	}
	c.Flags().StringVar(&email, "email", "", "forget what is known by this address alone")
	c.Flags().StringVar(&erasureID, "erasure", "", "complete the report of this erasure of the address, ers_…, instead of beginning another")
	return c
}

func (p *people) eraseEmail(cmd *cobra.Command, email, erasureID string) error {
	all, err := p.all(cmd.Context())
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "To see the report again: cleave people report %s\n", erasureID)
	table := p.table(cmd)
	defer table.end()
	// Backwards, so that orders comes before notifications: that asks it for the address before it writes.
	slices.Reverse(all)
	for _, h := range all {
		answer, err := h.EraseEmail(cmd.Context(), &personv1.EraseEmailRequest{Email: email, ErasureId: erasureID})
		if err != nil {
			return fmt.Errorf("%s: %w; do it again with --erasure %s", h.module, told(err), erasureID)
		}
		if err := p.print(table, h.module, answer.GetErasures()); err != nil {
			return err
		}
	}
	return nil
}

func (p *people) report() *cobra.Command {
	return &cobra.Command{
		Use:   "report PERSON",
		Short: "Say what each module has done to forget a person, and end with 1 unless all have",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := p.all(cmd.Context())
			if err != nil {
				return err
			}
			table := p.table(cmd)
			var waiting []string
			for _, h := range all {
				answer, err := h.GetReport(cmd.Context(), &personv1.GetReportRequest{Subject: args[0]})
				if err != nil {
					return fmt.Errorf("%s: %w", h.module, told(err))
				}
				if slices.ContainsFunc(answer.GetPlaces(), func(place string) bool {
					return !slices.ContainsFunc(answer.GetErasures(), func(e *personv1.Erasure) bool { return e.GetPlace() == place })
				}) {
					waiting = append(waiting, h.module)
				}
				if err := p.print(table, h.module, answer.GetErasures()); err != nil {
					return err
				}
			}
			table.end()
			if len(waiting) > 0 {
				return fmt.Errorf("%s is not forgotten by %s yet", args[0], strings.Join(waiting, ", "))
			}
			return nil
		},
	}
}

func (p *people) table(cmd *cobra.Command) *rows {
	return tableUnless(cmd, p.json, "MODULE", "PLACE", "DONE", "ROWS", "WHEN")
}

// print adds what a module has done to a table, or to lines of JSON.
func (p *people) print(table *rows, module string, erasures []*personv1.Erasure) error {
	for _, e := range erasures {
		if p.json {
			if err := line(table.out, e, "module", module); err != nil {
				return err
			}
			continue
		}
		table.row(module, e.GetPlace(), word(e.GetDone(), "DONE_"), e.GetRows(), at(e.GetTime()))
	}
	return nil
}

func (p *people) export() *cobra.Command {
	return &cobra.Command{
		Use:   "export PERSON",
		Short: "Print what the house knows of a person, as JSON",
		Long: `Prints one object in JSON: by the names of the modules what each holds of the person, by table. If it ends with anything but 0
the export is not whole.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := p.all(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			person, err := json.Marshal(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "{\n  \"person\": %s", person)
			for _, h := range all {
				if err := h.export(cmd.Context(), out, args[0]); err != nil {
					return fmt.Errorf("%s: %w", h.module, told(err))
				}
			}
			_, err = fmt.Fprint(out, "\n}\n")
			return err
		},
	}
}

// export writes what a module holds of a person as it comes, so that it need not fit into memory.
func (h personHolder) export(ctx context.Context, out io.Writer, subject string) error {
	stream, err := h.StreamExport(ctx, &personv1.StreamExportRequest{Subject: subject})
	if err != nil {
		return err
	}
	defer stream.Close()
	place := ""
	for stream.Receive() {
		for i, row := range stream.Msg().GetRows() {
			switch next := stream.Msg().GetPlace(); {
			case place == "":
				fmt.Fprintf(out, ",\n  %q: {\n    %q: [", h.module, next)
			case next != place:
				fmt.Fprintf(out, "\n    ],\n    %q: [", next)
			default:
				fmt.Fprint(out, ",")
			}
			place = stream.Msg().GetPlace()
			if _, err := fmt.Fprintf(out, "\n      %s", row); err != nil {
				return fmt.Errorf("write row %d of %s: %w", i, place, err)
			}
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	if place == "" {
		_, err = fmt.Fprintf(out, ",\n  %q: {}", h.module)
	} else {
		_, err = fmt.Fprint(out, "\n    ]\n  }")
	}
	return err
}
