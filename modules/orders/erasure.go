package orders

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/person"
)

// holdings are where the module holds something of people. What was sold the law keeps: orders and what became of them stay, with the id of a
// person whom nobody knows any more. Quotes have that id alone, too, and are gone in a week.
var holdings = []person.Holding{
	{
		Table: "contact", Of: ofOrder, Email: "email = $1", Key: "order_id", Shows: []string{"order_id", "email", "create_time"},
	},
	{Table: "cart_item", Of: "cart_id IN (SELECT id FROM cart WHERE user_id = $1)", Shows: []string{"cart_id", "sku", "quantity"}},
	{Table: "cart", Of: "user_id = $1", Shows: []string{"id", "state", "create_time", "update_time"}},
	{
		Table: "order", Of: "user_id = $1", Keeps: true,
		Shows: []string{"id", "state", "reason", "lines", "total", "currency", "charges", "payment_method", "payment_id", "create_time", "update_time"},
	},
	{Table: "fulfillment", Of: ofOrder, Shows: []string{"id", "order_id", "lines", "tracking_code", "create_time"}, Keeps: true},
	{Table: "reversal", Of: ofOrder, Shows: []string{"id", "order_id", "kind", "state", "lines", "reason", "refund", "create_time"}, Keeps: true},
	{Table: "coupon_use", Of: ofOrder, Key: "order_id", Shows: []string{"order_id", "coupon_id"}, Keeps: true},
}

// ofOrder is the condition under which a row is about an order of somebody.
const ofOrder = `order_id IN (SELECT id FROM "order" WHERE user_id = $1)`

// forget forgets somebody, and tells others what he has ordered: where he was written to as a guest they find by that alone.
func (s *service) forget(ctx context.Context, tx pgx.Tx, _ event.Event, m *identityv1.UserErased) error {
	if err := s.people.Erase(ctx, tx, m.GetUserId()); err != nil { // No order becomes his after this.
		return err
	}
	rows, _ := tx.Query(ctx, `SELECT id FROM "order" WHERE user_id = $1 ORDER BY id`, m.GetUserId())
	orderIDs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list the orders of somebody who is forgotten: %w", err)
	}
	chunks := slices.Collect(slices.Chunk(orderIDs, maxTold))
	if len(chunks) == 0 {
		chunks = [][]string{nil}
	}
	for i, chunk := range chunks {
		if err := s.events.Publish(ctx, tx, m.GetUserId(), int64(i+1), &ordersv1.ContactsErased{UserId: m.GetUserId(), OrderIds: chunk}); err != nil {
			return err
		}
	}
	return nil
}

// maxTold is how many orders are in one event.
const maxTold = 500
