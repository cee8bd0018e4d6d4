package identity

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

// client is a row.
type client struct {
	id, name                    string
	secretHash                  []byte // Nil for one that has none.
	redirectURIs, scopes, roles []string
	trusted                     bool
}

const clientColumns = "id, name, secret_hash, redirect_uris, scopes, roles, trusted"

func scanClient(row pgx.CollectableRow) (c client, err error) {
	return c, row.Scan(&c.id, &c.name, &c.secretHash, &c.redirectURIs, &c.scopes, &c.roles, &c.trusted)
}

// findClient returns a client, and whether there is one.
func (s *service) findClient(ctx context.Context, clientID string) (client, bool, error) {
	rows, _ := s.store.Pool().Query(ctx, "SELECT "+clientColumns+" FROM client WHERE id = $1", clientID)
	c, err := pgx.CollectExactlyOneRow(rows, scanClient)
	if errors.Is(err, pgx.ErrNoRows) {
		return client{}, false, nil
	}
	if err != nil {
		return client{}, false, fmt.Errorf("load a client: %w", err)
	}
	return c, true, nil
}

// secretIs reports whether a secret is the client's.
func (c client) secretIs(secret string) bool {
	return c.secretHash != nil && subtle.ConstantTimeCompare(c.secretHash, hashSecret(secret)) == 1
}

// leadsBack reports whether somebody may be led back to a URI: it is one of the client's, letter by letter. Only the port of a loopback
// address is the client's to choose (RFC 8252, section 7.3).
func (c client) leadsBack(uri string) bool {
	return slices.Contains(c.redirectURIs, uri) || slices.ContainsFunc(c.redirectURIs, func(known string) bool {
		without, ok := withoutPort(known)
		asked, same := withoutPort(uri)
		return ok && same && without == asked
	})
}

// withoutPort returns the URI of a loopback address without its port.
func withoutPort(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" || u.User != nil {
		return "", false
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		return "", false
	}
	u.Host = u.Hostname()
	return u.String(), true
}

// checkRedirect says what is wrong with a URI that people are led back to: what it brings is as good as a password for a moment.
func checkRedirect(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || u.Fragment != "" || strings.Contains(uri, "#") || u.User != nil || u.Scheme == "" {
		return fmt.Errorf("redirect URI %q is no URI without a fragment", uri)
	}
	ip := net.ParseIP(u.Hostname())
	switch {
	case u.Scheme == "https" && u.Host != "", u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()):
		return nil
	case strings.Contains(u.Scheme, "."): // An app's own (RFC 8252, section 7.1).
		return nil
	}
	return fmt.Errorf("redirect URI %q must begin with https://, with http:// and a loopback address, or with an app's own scheme like com.example.app:/", uri)
}

func (c client) message() *identityv1.Client {
	return &identityv1.Client{
		Id: c.id, Name: c.name, RedirectUris: c.redirectURIs, Scopes: c.scopes, Roles: c.roles, Trusted: c.trusted, Confidential: c.secretHash != nil,
	}
}

// minSecret is the least of a client's secret, in characters: nobody finds it out from its hash.
const minSecret = 32

// clients implements ClientService.
type clients struct{ *service }

func (s clients) PutClient(ctx context.Context, r *identityv1.PutClientRequest) (*identityv1.PutClientResponse, error) {
	asked := r.GetClient()
	for _, uri := range asked.GetRedirectUris() {
		if err := checkRedirect(uri); err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, err)
		}
	}
	switch secret := r.GetSecret(); {
	case strings.HasPrefix(asked.GetId(), "usr_"), strings.HasPrefix(asked.GetId(), "gst_"): // A service account is the subject of its tokens.
		return nil, rpc.Errorf(connect.CodeInvalidArgument, "", "client.id: must not begin with usr_ or gst_, as the ids of people do")
	case secret != "" && len(secret) < minSecret:
		return nil, rpc.Errorf(connect.CodeInvalidArgument, "", "secret: must be at least %d characters, chosen at random", minSecret)
	case secret != "" && !asked.GetConfidential():
		return nil, rpc.Errorf(connect.CodeInvalidArgument, "", "secret: is for a confidential client")
	case !asked.GetConfidential() && len(asked.GetRoles()) > 0:
		return nil, rpc.Errorf(connect.CodeInvalidArgument, "", "roles: are for a confidential client, which shows a secret")
	}
	var hash []byte
	if r.GetSecret() != "" {
		hash = hashSecret(r.GetSecret())
	}
	answer := &identityv1.PutClientResponse{}
	err := s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		rows, _ := tx.Query(ctx, `INSERT INTO client AS c (id, name, secret_hash, redirect_uris, scopes, roles, trusted) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, redirect_uris = excluded.redirect_uris, scopes = excluded.scopes, roles = excluded.roles,
				trusted = excluded.trusted, secret_hash = CASE WHEN $8 THEN coalesce(excluded.secret_hash, c.secret_hash) END
			RETURNING `+clientColumns,
			asked.GetId(), asked.GetName(), hash, list(asked.GetRedirectUris()), list(asked.GetScopes()), list(asked.GetRoles()), asked.GetTrusted(), asked.GetConfidential())
		c, err := pgx.CollectExactlyOneRow(rows, scanClient)
		switch {
		case err != nil:
			return fmt.Errorf("write client %s: %w", asked.GetId(), err)
		case asked.GetConfidential() && c.secretHash == nil:
			return rpc.Errorf(connect.CodeInvalidArgument, "", "secret: a confidential client needs one")
		}
		audit(ctx, tx, audited{event: "client_put", clientID: c.id})
		answer.Client = c.message()
		return nil
	})
	return answer, err
}

func (s clients) ListClients(ctx context.Context, _ *identityv1.ListClientsRequest) (*identityv1.ListClientsResponse, error) {
	rows, _ := s.store.Pool().Query(ctx, "SELECT "+clientColumns+" FROM client ORDER BY id LIMIT 1000")
	all, err := pgx.CollectRows(rows, scanClient)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &identityv1.ListClientsResponse{}
	for _, c := range all {
		answer.Clients = append(answer.Clients, c.message())
	}
	return answer, nil
}

func (s clients) DeleteClient(ctx context.Context, r *identityv1.DeleteClientRequest) (*identityv1.DeleteClientResponse, error) {
	err := s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		tx.Defer("UPDATE family SET end_time = now() WHERE client_id = $1 AND end_time IS NULL", r.GetId())
		tx.Defer("DELETE FROM consent WHERE client_id = $1", r.GetId())
		audit(ctx, tx, audited{event: "client_deleted", clientID: r.GetId()})
		_, err := tx.Exec(ctx, "DELETE FROM client WHERE id = $1", r.GetId())
		return err
	})
	return &identityv1.DeleteClientResponse{}, err
}

// list returns a list that the database writes as one, also if it is empty.
func list(items []string) []string { return append([]string{}, items...) }
