package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1connect"
)

// clientsCommand says which programs may ask for tokens.
func clientsCommand() *cobra.Command {
	var a admin
	c := &cobra.Command{
		Use:   "clients",
		Short: "Say which programs may ask the shop's own provider for tokens",
		Long: `Works with clients through the operator's port of the process that holds the module identity. One with a redirect URI is an app in which
people sign in; one without is a service account, which has a secret and gets tokens in its own name.`,
		Example: `  cleave clients put shop-web --name "The shop" --redirect https://shop.example/callback --scopes "openid email orders:read" --trusted
  cleave clients put nightly --name "Nightly report" --scopes orders:read --roles staff --secret
  cleave clients delete nightly`,
	}
	a.flags(c)
	c.AddCommand(a.putClient(), a.listClients(), a.deleteClient())
	return c
}

func (a *admin) clients(ctx context.Context) (identityv1connect.ClientServiceClient, error) {
	base, err := a.own(ctx, "identity")
	return identityv1connect.NewClientServiceClient(http.DefaultClient, base), err
}

var clientColumns = []string{"CLIENT", "NAME", "REDIRECT URIS", "SCOPES", "ROLES", "TRUSTED", "SECRET"}

func addClient(rows *rows, c *identityv1.Client) error {
	return rows.add(c, c.GetId(), c.GetName(), strings.Join(c.GetRedirectUris(), " "), strings.Join(c.GetScopes(), " "), strings.Join(c.GetRoles(), " "), c.GetTrusted(), c.GetConfidential())
}

func (a *admin) putClient() *cobra.Command {
	asked := &identityv1.Client{}
	var scopes, roles string
	var secret bool
	c := &cobra.Command{
		Use:   "put CLIENT",
		Short: "Make a client, or make it anew",
		Long: `Makes a client, or changes all of it. With --secret it gets a new one, which is printed on its standard output and kept nowhere. One that has a secret keeps it
with --confidential.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			clients, err := a.clients(cmd.Context())
			if err != nil {
				return err
			}
			asked.Id, asked.Scopes, asked.Roles = args[0], split(scopes), split(roles)
			request := &identityv1.PutClientRequest{Client: asked}
			if secret {
				request.Secret, asked.Confidential = rand.Text()+rand.Text(), true // 260 bits.
			}
			answer, err := clients.PutClient(cmd.Context(), request)
			if err != nil {
				return told(err)
			}
			if secret {
				fmt.Fprintln(cmd.OutOrStdout(), request.GetSecret())
				return nil
			}
			rows := tableUnless(cmd, a.json, clientColumns...)
			defer rows.end()
			return addClient(rows, answer.GetClient())
		},
	}
	c.Flags().StringVar(&asked.Name, "name", "", "what people read when they are asked")
	c.Flags().StringArrayVar(&asked.RedirectUris, "redirect", nil, "where people may be led back to, exactly; may be repeated")
	c.Flags().StringVar(&scopes, "scopes", "", "what it may ask for")
	c.Flags().StringVar(&roles, "roles", "", "the roles of a service account")
	c.Flags().BoolVar(&asked.Trusted, "trusted", false, "do not ask people: it is of the shop itself")
	c.Flags().BoolVar(&secret, "secret", false, "make a secret")
	c.Flags().BoolVar(&asked.Confidential, "confidential", false, "it has a secret, which stays as it is")
	_ = c.MarkFlagRequired("name")
	return c
}

func (a *admin) listClients() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the clients", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clients, err := a.clients(cmd.Context())
			if err != nil {
				return err
			}
			answer, err := clients.ListClients(cmd.Context(), &identityv1.ListClientsRequest{})
			if err != nil {
				return told(err)
			}
			rows := tableUnless(cmd, a.json, clientColumns...)
			defer rows.end()
			for _, c := range answer.GetClients() {
				if err := addClient(rows, c); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *admin) deleteClient() *cobra.Command {
	return &cobra.Command{
		Use: "delete CLIENT", Short: "Remove a client, and end what it was given", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			clients, err := a.clients(cmd.Context())
			if err != nil {
				return err
			}
			_, err = clients.DeleteClient(cmd.Context(), &identityv1.DeleteClientRequest{Id: args[0]})
			return told(err)
		},
	}
}
