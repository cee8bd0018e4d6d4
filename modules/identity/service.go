package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/modules/identity/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/mailaddr"
	"github.com/cleave-go/cleave/platform/person"
	"github.com/cleave-go/cleave/platform/rpc"
)

type tx = db.Tx[*ent.Client]

// service implements AccountService, and is what the other services and the pages work with.
type service struct {
	store   *db.Store[*ent.Client]
	log     *slog.Logger
	events  *event.Events
	people  *person.Client
	jobs    *job.Client
	orders  ordersv1connect.GuestServiceClient
	issuer  string
	hasher  *hasher
	vault   vault
	signing atomic.Pointer[signer]
}

// account is a row.
type account struct {
	id, email, name, language, hash string
	state                           state
	verified                        bool
	roles                           []string
	created                         time.Time
}

const accountColumns = "id, coalesce(email, ''), name, language, password_hash, state, email_verified, roles, create_time"

func scanAccount(row pgx.CollectableRow) (a account, err error) {
	return a, row.Scan(&a.id, &a.email, &a.name, &a.language, &a.hash, &a.state, &a.verified, &a.roles, &a.created)
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// findAccount returns the account for which a condition with one argument holds, and whether there is one.
func findAccount(ctx context.Context, q querier, condition string, argument any) (account, bool, error) {
	rows, _ := q.Query(ctx, "SELECT "+accountColumns+" FROM account WHERE "+condition, argument)
	a, err := pgx.CollectExactlyOneRow(rows, scanAccount)
	if errors.Is(err, pgx.ErrNoRows) {
		return account{}, false, nil
	}
	if err != nil {
		return account{}, false, fmt.Errorf("load an account: %w", err)
	}
	return a, true, nil
}

func (a account) message() *identityv1.Account {
	return &identityv1.Account{
		Id: a.id, State: messageStates[a.state], Email: a.email, EmailVerified: a.verified, Name: a.name, Language: a.language, Roles: a.roles, CreateTime: timestamppb.New(a.created),
	}
}

func (s *service) GetAccount(ctx context.Context, _ *identityv1.GetAccountRequest) (*identityv1.GetAccountResponse, error) {
	owner, _ := rpc.Owner(ctx)
	a, found, err := findAccount(ctx, s.store.Pool(), "id = $1", owner)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	if !found { // Somebody of another issuer, or a service account.
		return nil, rpc.NotFound("account", owner)
	}
	return &identityv1.GetAccountResponse{Account: a.message()}, nil
}

// desk implements DeskService.
type desk struct{ *service }

func (s desk) FindAccount(ctx context.Context, r *identityv1.FindAccountRequest) (*identityv1.FindAccountResponse, error) {
	condition, key := "id = $1", r.GetIdOrEmail()
	if strings.Contains(key, "@") {
		condition, key = "email = $1", mailaddr.Fold(key)
	}
	a, found, err := findAccount(ctx, s.store.Pool(), condition, key)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	if !found {
		return nil, rpc.NotFound("account", "with this id or address")
	}
	return &identityv1.FindAccountResponse{Account: a.message()}, nil
}

func (s desk) SetRoles(ctx context.Context, r *identityv1.SetRolesRequest) (*identityv1.SetRolesResponse, error) {
	roles := append([]string{}, r.GetRoles()...)
	a, err := s.change(ctx, r.GetId(), "roles_set", "UPDATE account SET roles = $2 WHERE id = $1 AND state <> 'erased'", roles)
	return &identityv1.SetRolesResponse{Account: a}, err
}

func (s desk) LockAccount(ctx context.Context, r *identityv1.LockAccountRequest) (*identityv1.LockAccountResponse, error) {
	var a *identityv1.Account
	err := s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		if a, err = move(ctx, tx, r.GetId(), active, locked, "locked"); err == nil {
			err = endSessions(ctx, tx, r.GetId())
		}
		return err
	})
	return &identityv1.LockAccountResponse{Account: a}, err
}

func (s desk) UnlockAccount(ctx context.Context, r *identityv1.UnlockAccountRequest) (*identityv1.UnlockAccountResponse, error) {
	var a *identityv1.Account
	err := s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		a, err = move(ctx, tx, r.GetId(), locked, active, "unlocked")
		return err
	})
	return &identityv1.UnlockAccountResponse{Account: a}, err
}

// change changes an account with a statement, and writes that down.
func (s *service) change(ctx context.Context, accountID, event, statement string, arguments ...any) (message *identityv1.Account, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		tag, err := tx.Exec(ctx, statement, append([]any{accountID}, arguments...)...)
		if err != nil {
			return fmt.Errorf("change account %s: %w", accountID, err)
		}
		if tag.RowsAffected() == 0 {
			return rpc.NotFound("account", accountID)
		}
		audit(ctx, tx, audited{event: event, accountID: accountID})
		a, _, err := findAccount(ctx, tx, "id = $1", accountID)
		message = a.message()
		return err
	})
	return message, err
}

// move gets an account from one state into another, and writes that down. It does nothing to one that is there already.
func move(ctx context.Context, tx tx, accountID string, from, next state, event string) (*identityv1.Account, error) {
	a, found, err := findAccount(ctx, tx, "id = $1 FOR UPDATE", accountID)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, rpc.NotFound("account", accountID)
	case a.state == next:
		return a.message(), nil
	case a.state != from || !slices.Contains(transitions[from], next):
		return nil, rpc.Errorf(connect.CodeFailedPrecondition, messageStates[a.state].String(), "account %s is %s and cannot become %s", accountID, a.state, next)
	}
	tx.Defer("UPDATE account SET state = $2 WHERE id = $1", accountID, string(next))
	audit(ctx, tx, audited{event: event, accountID: accountID})
	a.state = next
	return a.message(), nil
}
