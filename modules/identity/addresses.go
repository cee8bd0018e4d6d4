package identity

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

// maxAddresses is how many addresses somebody may have.
const maxAddresses = 50

// addresses implements AddressService. Whose they are is a subject: people of another issuer have addresses here and no account.
type addresses struct{ *service }

func (s addresses) CreateAddress(ctx context.Context, r *identityv1.CreateAddressRequest) (*identityv1.CreateAddressResponse, error) {
	owner, _ := rpc.Owner(ctx)
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*identityv1.CreateAddressResponse, error) {
		if err := s.people.Living(ctx, tx, owner); err != nil {
			return nil, err
		}
		a := proto.CloneOf(r.GetAddress()) // The request stays as it is: it is compared with what was asked before.
		a.Id = id.New("adr")
		// Two at once may make one more than there may be, and no more than that.
		tag, err := tx.Exec(ctx, `INSERT INTO address (id, account_id, name, lines, postal_code, city, region, country)
			SELECT $1, $2::text, $3, $4::jsonb, $5, $6, $7, $8 WHERE (SELECT count(*) FROM address WHERE account_id = $2::text) < $9`,
			a.GetId(), owner, a.GetName(), list(a.GetLines()), a.GetPostalCode(), a.GetCity(), a.GetRegion(), a.GetCountry(), maxAddresses)
		if err != nil {
			return nil, fmt.Errorf("write an address: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil, rpc.Errorf(connect.CodeResourceExhausted, "TOO_MANY", "you have %d addresses: delete one first", maxAddresses)
		}
		return &identityv1.CreateAddressResponse{Address: a}, nil
	})
}

func (s addresses) ListAddresses(ctx context.Context, _ *identityv1.ListAddressesRequest) (*identityv1.ListAddressesResponse, error) {
	owner, _ := rpc.Owner(ctx)
	rows, _ := s.store.Pool().Query(ctx, "SELECT id, name, lines, postal_code, city, region, country FROM address WHERE account_id = $1 ORDER BY id LIMIT 200", owner)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*identityv1.Address, error) {
		var a identityv1.Address
		return &a, row.Scan(&a.Id, &a.Name, &a.Lines, &a.PostalCode, &a.City, &a.Region, &a.Country)
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("list addresses: %w", err))
	}
	return &identityv1.ListAddressesResponse{Addresses: all}, nil
}

func (s addresses) DeleteAddress(ctx context.Context, r *identityv1.DeleteAddressRequest) (*identityv1.DeleteAddressResponse, error) {
	owner, _ := rpc.Owner(ctx)
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*identityv1.DeleteAddressResponse, error) {
		tag, err := tx.Exec(ctx, "DELETE FROM address WHERE id = $1 AND account_id = $2", r.GetId(), owner)
		if err != nil {
			return nil, fmt.Errorf("delete an address: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return nil, rpc.NotFound("address", r.GetId())
		}
		return &identityv1.DeleteAddressResponse{}, nil
	})
}

// sessions implements SessionService.
type sessions struct{ *service }

func (s sessions) ListSessions(ctx context.Context, _ *identityv1.ListSessionsRequest) (*identityv1.ListSessionsResponse, error) {
	owner, _ := rpc.Owner(ctx)
	all, err := s.listSessions(ctx, owner)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &identityv1.ListSessionsResponse{}
	for _, found := range all {
		answer.Sessions = append(answer.Sessions, &identityv1.Session{Id: found.id, Device: found.device, CreateTime: timestamppb.New(found.began)})
	}
	return answer, nil
}

func (s sessions) DeleteSession(ctx context.Context, r *identityv1.DeleteSessionRequest) (*identityv1.DeleteSessionResponse, error) {
	owner, _ := rpc.Owner(ctx)
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*identityv1.DeleteSessionResponse, error) {
		found, err := endSession(ctx, tx, owner, r.GetId())
		if err == nil && !found {
			err = rpc.NotFound("session", r.GetId())
		}
		return &identityv1.DeleteSessionResponse{}, err
	})
}
