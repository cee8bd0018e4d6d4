package main

import (
	"net/http"

	"github.com/spf13/cobra"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1connect"
)

// keysCommand looks after the keys that tokens are signed with.
func keysCommand() *cobra.Command {
	var a admin
	c := &cobra.Command{
		Use:   "keys",
		Short: "See the keys that the shop's own tokens are signed with, and make the next one",
		Long: `Works with the signing keys through the operator's port of the process that holds the module identity. They take turns every 30 days by
themselves. A key that was made signs two hours later, when everybody knows it.`,
		Example: `  cleave keys list
  cleave keys rotate`,
	}
	a.flags(c)
	c.AddCommand(a.keys("list", "List the keys that are published", func(cmd *cobra.Command, keys identityv1connect.KeyServiceClient) ([]*identityv1.SigningKey, error) {
		answer, err := keys.ListKeys(cmd.Context(), &identityv1.ListKeysRequest{})
		return answer.GetKeys(), err
	}), a.keys("rotate", "Make the next key before it is time", func(cmd *cobra.Command, keys identityv1connect.KeyServiceClient) ([]*identityv1.SigningKey, error) {
		answer, err := keys.RotateKeys(cmd.Context(), &identityv1.RotateKeysRequest{})
		return []*identityv1.SigningKey{answer.GetKey()}, err
	}))
	return c
}

// keys is a command that shows keys.
func (a *admin) keys(use, short string, get func(*cobra.Command, identityv1connect.KeyServiceClient) ([]*identityv1.SigningKey, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			base, err := a.own(cmd.Context(), "identity")
			if err != nil {
				return err
			}
			keys, err := get(cmd, identityv1connect.NewKeyServiceClient(http.DefaultClient, base))
			if err != nil {
				return told(err)
			}
			rows := tableUnless(cmd, a.json, "KEY", "SINCE", "SIGNS FROM", "ENCRYPTED")
			defer rows.end()
			for _, key := range keys {
				if err := rows.add(key, key.GetId(), at(key.GetCreateTime()), at(key.GetUseTime()), key.GetEncrypted()); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
