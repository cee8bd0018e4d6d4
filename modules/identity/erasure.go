package identity

import (
	"context"
	"errors"
	"strings"

	"connectrpc.com/connect"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/person"
	"github.com/cleave-go/cleave/platform/rpc"
)

// holdings are where the module holds something of people. Codes and the mails of strangers are not among them: they have ids alone, and are
// gone in two days. Sessions come first: whoever allows an app something holds the one in which he does, so what he writes is seen by what follows.
var holdings = []person.Holding{
	{Table: "session", Of: "account_id = $1", Shows: []string{"id", "device", "create_time", "expire_time"}},
	{Table: "address", Of: "account_id = $1", Shows: []string{"id", "name", "lines", "postal_code", "city", "region", "country"}},
	{Table: "refresh_token", Of: "family_id IN (SELECT id FROM family WHERE account_id = $1)"},
	{Table: "family", Of: "account_id = $1", Shows: []string{"client_id", "scopes", "auth_time", "create_time", "expire_time", "end_time"}},
	{Table: "device", Of: "account_id = $1"},
	{Table: "consent", Of: "account_id = $1", Shows: []string{"client_id", "scopes", "create_time"}},
	{Table: "link", Of: "account_id = $1", Email: "email = $1"}, // Whoever has the account may only want the address.
	{Table: "mail", Of: "account_id = $1", Email: "email = $1", Shows: []string{"id", "kind", "language", "expire_time"}},
	{Table: "audit", Of: "account_id = $1", Shows: []string{"event", "client_id", "session_id", "create_time"}, Keeps: true},
	{
		Table: "account", Of: "id = $1", Shows: []string{"id", "state", "email", "email_verified", "name", "roles", "create_time"},
		Anonymise: "email = NULL, email_verified = false, name = '', language = '', password_hash = '', roles = '[]'",
	},
}

// accountPrefix begins the ids of accounts.
const accountPrefix = "usr_"

// EraseAccount forgets whoever says the password. To somebody who is forgotten it answers the same, because the answer may have been lost.
func (s *service) EraseAccount(ctx context.Context, r *identityv1.EraseAccountRequest) (*identityv1.EraseAccountResponse, error) {
	owner, _ := rpc.Owner(ctx)
	a, found, err := findAccount(ctx, s.store.Pool(), "id = $1", owner)
	switch {
	case err != nil:
		return nil, db.Unavailable(err)
	case !found: // Somebody of another issuer, who has no password here, or a service account.
		return nil, rpc.NotFound("account", owner)
	case a.state == erased:
		return &identityv1.EraseAccountResponse{}, nil
	}
	// A token that somebody else has got hold of shall not be what passwords are tried with.
	a, _, err = s.recognise(ctx, session{account: a}, visitor{}, r.GetPassword())
	switch {
	case errors.Is(err, errTooMany):
		return nil, rpc.Errorf(connect.CodeResourceExhausted, "TOO_MANY_ATTEMPTS", "there were too many attempts: wait for a quarter of an hour")
	case errors.Is(err, errRefused):
		return nil, rpc.Errorf(connect.CodePermissionDenied, "PASSWORD", "this is not the password of the account")
	case err != nil:
		return nil, db.Unavailable(err)
	}
	return &identityv1.EraseAccountResponse{}, s.erase(ctx, owner, a.hash)
}

// ErasePerson implements DeskService.
func (s desk) ErasePerson(ctx context.Context, r *identityv1.ErasePersonRequest) (*identityv1.ErasePersonResponse, error) {
	if rpc.IsGuest(r.GetSubject()) {
		return nil, rpc.Errorf(connect.CodeInvalidArgument, "GUEST", "a guest is known by an e-mail address alone: erase that")
	}
	// Who is forgotten is written down for good, where nobody can take it out again. The error does not repeat it.
	if strings.Contains(r.GetSubject(), "@") {
		return nil, rpc.Errorf(connect.CodeInvalidArgument, "EMAIL", "this is an e-mail address: name the account by its id, or use --email to forget what is known by the address alone")
	}
	return &identityv1.ErasePersonResponse{}, s.erase(ctx, r.GetSubject(), "")
}

// erase forgets somebody here, and has the other modules do so. With a hash it does so only while the password is still that one.
func (s *service) erase(ctx context.Context, subject, hash string) error {
	return s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		a, found, err := findAccount(ctx, tx, "id = $1 FOR UPDATE", subject)
		switch {
		case err != nil:
			return err
		case !found && strings.HasPrefix(subject, accountPrefix):
			return rpc.NotFound("account", subject)
		case a.state == erased:
			return nil
		case hash != "" && (a.hash != hash || a.state != active):
			return rpc.Errorf(connect.CodePermissionDenied, "PASSWORD", "the account has been locked or has got another password meanwhile")
		case !found:
			if err := s.people.Living(ctx, tx, subject); err != nil { // There is no state that says so.
				if rpc.Reason(err) == person.Erased {
					return nil
				}
				return err
			}
		default:
			tx.Defer("DELETE FROM attempt WHERE key = $1", accountKey(a.email))
		}
		if err := s.people.Erase(ctx, tx, subject); err != nil {
			return err
		}
		if found {
			if _, err := move(ctx, tx, subject, a.state, erased, "erased"); err != nil {
				return err
			}
		} else {
			audit(ctx, tx, audited{event: "erased", accountID: subject})
		}
		return s.events.Publish(ctx, tx, subject, erasedSequence, &identityv1.UserErased{UserId: subject})
	})
}

// erasedSequence is the number of UserErased among the events of a person: there is none after it.
const erasedSequence = 1 << 40
