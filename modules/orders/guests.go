package orders

import (
	"context"
	"fmt"
	"slices"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/mailaddr"
	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	// maxOpenOrders is how many orders a customer may have open, neither paid nor ended: each of them holds stock from others. Orders that
	// are placed at the same moment do not see each other, so there can be as many more as the edge lets one customer do at once.
	maxOpenOrders = 20
	// maxOpenForShop is how many the people of the shop may, who order for others.
	maxOpenForShop = 10_000
	// maxClaimed is how many orders are claimed at once.
	maxClaimed = 500
)

// maxOpen returns how many open orders the caller may have.
func maxOpen(ctx context.Context) int {
	roles := rpc.MetadataOf(ctx).Principal.Roles
	if slices.Contains(roles, "staff") || slices.Contains(roles, "admin") {
		return maxOpenForShop
	}
	return maxOpenOrders
}

// checkEmail says what is wrong with the e-mail address of a request, in which there may be none. It does not repeat it.
func checkEmail(userID, email string) error {
	switch guest := rpc.IsGuest(userID); {
	case guest && email == "":
		return rpc.Errorf(connect.CodeInvalidArgument, "EMAIL_REQUIRED", "email: say where to write to about the order, or sign in")
	case !guest && email != "":
		return rpc.Errorf(connect.CodeInvalidArgument, "EMAIL_OF_ACCOUNT", "email: it is for guests; whoever has an account is written to as the account says")
	}
	return nil
}

// insertContact writes down where to write to about an order.
func insertContact(tx tx, orderID, email string) {
	tx.Defer("INSERT INTO contact (order_id, email) VALUES ($1, $2)", orderID, mailaddr.Fold(email))
}

func (s *service) BatchGetContacts(ctx context.Context, r *ordersv1.BatchGetContactsRequest) (*ordersv1.BatchGetContactsResponse, error) {
	rows, _ := s.store.Pool().Query(ctx, "SELECT order_id, email FROM contact WHERE order_id = ANY ((SELECT $1::text[])::text[])", r.GetOrderIds())
	contacts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*ordersv1.Contact, error) {
		c := &ordersv1.Contact{}
		return c, row.Scan(&c.OrderId, &c.Email)
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("load contacts: %w", err))
	}
	return &ordersv1.BatchGetContactsResponse{Contacts: contacts}, nil
}

// ClaimGuestOrders changes whose orders are, and says so in their logs. Where they are written to about them stays: it is the same address.
func (s *service) ClaimGuestOrders(ctx context.Context, r *ordersv1.ClaimGuestOrdersRequest) (*ordersv1.ClaimGuestOrdersResponse, error) {
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*ordersv1.ClaimGuestOrdersResponse, error) {
		if err := s.people.Living(ctx, tx, r.GetUserId()); err != nil { // Their addresses would stay where nobody looks for them any more.
			return nil, err
		}
		// They are locked in their order, so that two claims do not wait for each other in a circle.
		rows, _ := tx.Query(ctx, `WITH theirs AS (
				SELECT o.id FROM contact c JOIN "order" o ON o.id = c.order_id WHERE c.email = $2 AND starts_with(o.user_id, $3) ORDER BY o.id LIMIT $4 FOR UPDATE OF o
			), moved AS (
				UPDATE "order" o SET user_id = $1, sequence = sequence + 1, update_time = now() FROM theirs WHERE o.id = theirs.id RETURNING o.id, o.sequence
			) INSERT INTO transition (order_id, sequence, state, note) SELECT id, sequence, '', 'claimed by an account' FROM moved RETURNING order_id`,
			r.GetUserId(), mailaddr.Fold(r.GetEmail()), rpc.GuestPrefix, maxClaimed)
		claimed, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("claim orders: %w", err)
		}
		db.AfterCommit(ctx, func() {
			for _, orderID := range claimed {
				s.changes.tell(orderID, happened{}) // Its guest does not see it any more.
			}
		})
		return &ordersv1.ClaimGuestOrdersResponse{Orders: int32(len(claimed)), More: len(claimed) == maxClaimed}, nil
	})
}
