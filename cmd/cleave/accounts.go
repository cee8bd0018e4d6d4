package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1connect"
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	"github.com/cleave-go/cleave/gen/cleave/notifications/v1/notificationsv1connect"
)

// own returns the base URL of the services of one module that are for the operator.
func (a *admin) own(ctx context.Context, module string) (string, error) {
	base, err := a.module(ctx, module)
	return strings.TrimSuffix(base, "/modules/"+module), err
}

// accountsCommand looks after accounts.
func accountsCommand() *cobra.Command {
	var a admin
	c := &cobra.Command{
		Use:   "accounts",
		Short: "See an account, say which roles it has, and lock it",
		Long: `Works with accounts through the operator's port of the process that holds the module identity. An account is named by its id
or by its e-mail address.`,
		Example: `  cleave accounts show jane@example.com
  cleave accounts roles jane@example.com customer,admin
  cleave accounts lock usr_01a1fdad074278e680c5e4fa22541122`,
	}
	a.flags(c)
	c.AddCommand(
		a.account("show ACCOUNT", "Show an account", 1, nil),
		a.account("roles ACCOUNT ROLE[,ROLE]", "Say which roles an account has; tokens that are out say the older ones for ten minutes", 2,
			func(ctx context.Context, desk identityv1connect.DeskServiceClient, id string, args []string) (*identityv1.Account, error) {
				answer, err := desk.SetRoles(ctx, &identityv1.SetRolesRequest{Id: id, Roles: split(args[1])})
				return answer.GetAccount(), err
			}),
		a.account("lock ACCOUNT", "Sign an account out everywhere, and let it not sign in", 1,
			func(ctx context.Context, desk identityv1connect.DeskServiceClient, id string, _ []string) (*identityv1.Account, error) {
				answer, err := desk.LockAccount(ctx, &identityv1.LockAccountRequest{Id: id})
				return answer.GetAccount(), err
			}),
		a.account("unlock ACCOUNT", "Let an account sign in again", 1,
			func(ctx context.Context, desk identityv1connect.DeskServiceClient, id string, _ []string) (*identityv1.Account, error) {
				answer, err := desk.UnlockAccount(ctx, &identityv1.UnlockAccountRequest{Id: id})
				return answer.GetAccount(), err
			}),
	)
	return c
}

// account is a command that finds an account, does something with it, and shows it.
func (a *admin) account(use, short string, args int, do func(context.Context, identityv1connect.DeskServiceClient, string, []string) (*identityv1.Account, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			base, err := a.own(cmd.Context(), "identity")
			if err != nil {
				return err
			}
			desk := identityv1connect.NewDeskServiceClient(http.DefaultClient, base)
			found, err := desk.FindAccount(cmd.Context(), &identityv1.FindAccountRequest{IdOrEmail: args[0]})
			if err != nil {
				return told(err)
			}
			account := found.GetAccount()
			if do != nil {
				if account, err = do(cmd.Context(), desk, account.GetId(), args); err != nil {
					return told(err)
				}
			}
			rows := tableUnless(cmd, a.json, "ACCOUNT", "STATE", "E-MAIL", "CONFIRMED", "NAME", "ROLES", "SINCE")
			defer rows.end()
			return rows.add(account, account.GetId(), word(account.GetState(), "ACCOUNT_STATE_"), account.GetEmail(), account.GetEmailVerified(), account.GetName(),
				strings.Join(account.GetRoles(), ","), at(account.GetCreateTime()))
		},
	}
}

// split returns the words of a list with commas or spaces.
func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// mailboxCommand shows the development mailbox.
func mailboxCommand() *cobra.Command {
	var a admin
	var to string
	var limit int32
	c := &cobra.Command{
		Use:   "mailbox",
		Short: "Show the latest mails of the development mailbox",
		Long: `Shows what was mailed, the latest first, through the operator's port of the process that holds the module notifications. Links to
choose a password are among it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			base, err := a.own(cmd.Context(), "notifications")
			if err != nil {
				return err
			}
			box := notificationsv1connect.NewMailboxServiceClient(http.DefaultClient, base)
			answer, err := box.ListMails(cmd.Context(), &notificationsv1.ListMailsRequest{Limit: limit, Recipient: to})
			if err != nil {
				return told(err)
			}
			for _, m := range answer.GetMails() {
				if a.json {
					if err := line(cmd.OutOrStdout(), m); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s to %s: %s\n\n    %s\n\n", at(m.GetCreateTime()), m.GetRecipient(), m.GetSubject(),
					strings.ReplaceAll(strings.TrimSpace(m.GetBody()), "\n", "\n    "))
			}
			return nil
		},
	}
	a.flags(c)
	c.Flags().StringVar(&to, "to", "", "only those to this user, by id")
	c.Flags().Int32Var(&limit, "limit", 20, "how many")
	return c
}
