package identity

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
)

// maxClaims is how often orders is called by one job. Nobody has ordered so much as a guest; if somebody has, the job is tried again.
const maxClaims = 20

// claimOrders is the job that makes what somebody has ordered as a guest his account's, once he has proven his address.
type claimOrders struct {
	UserID string `json:"user_id"`
}

func (claimOrders) Kind() string { return "identity.claim_orders" }

// claim has orders claim. It is tried again while orders is away, and claims what is there then. The address is the account's at that moment:
// one that was changed meanwhile has a job of its own.
func (s *service) claim(ctx context.Context, args claimOrders) error {
	a, found, err := findAccount(ctx, s.store.Pool(), "id = $1 AND email IS NOT NULL AND email_verified", args.UserID)
	if err != nil {
		return db.Unavailable(err)
	}
	if !found { // Forgotten meanwhile.
		return nil
	}
	for range maxClaims {
		// Each time with another id: there may be others since, and to claim twice changes nothing.
		answer, err := s.orders.ClaimGuestOrders(ctx, &ordersv1.ClaimGuestOrdersRequest{RequestId: id.New("claim"), UserId: a.id, Email: a.email})
		if err != nil {
			return fmt.Errorf("claim the orders of account %s: %s", a.id, connect.CodeOf(err)) // Its text may have the address.
		}
		if !answer.GetMore() {
			return nil
		}
	}
	return errors.New("there are more orders to be claimed")
}
