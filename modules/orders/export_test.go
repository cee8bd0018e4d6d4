package orders

import (
	"context"

	"entgo.io/ent/dialect"
	"github.com/jackc/pgx/v5"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/modules/orders/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
)

// Tidy does at once what the module does every few minutes.
func Tidy(ctx context.Context, d *db.DB) error {
	s := &service{store: db.NewStore(d, func(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) })}
	return s.tidy(ctx)
}

// Legal reports whether an order may go from one state to another.
func Legal(from, to ordersv1.OrderState) bool {
	var f, n state
	for s, message := range messageStates {
		if message == from {
			f = s
		}
		if message == to {
			n = s
		}
	}
	return f.canBecome(n)
}

// Follow confirms an order as a boundary of its checkout changes it: with the commit, unread.
func Follow(ctx context.Context, d *db.DB, orderID string) error {
	return d.Tx(ctx, func(_ context.Context, tx pgx.Tx) error {
		follow(tx, orderID, change{state: confirmed})
		return nil
	})
}
