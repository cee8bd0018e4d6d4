package inventory

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
)

const (
	// tellInterval is how often a replica looks for SKUs that have crossed their threshold, and maxTold how many are told of by one
	// transaction.
	tellInterval = 2 * time.Second
	maxTold      = 100
)

// turn is a SKU that has become low, or is no more.
type turn struct {
	sku                        string
	low                        bool
	tellings, available, lowAt int64
}

func (t turn) event() proto.Message {
	if t.low {
		return &inventoryv1.StockRanLow{Sku: t.sku, Available: t.available, LowAt: t.lowAt}
	}
	return &inventoryv1.StockReplenished{Sku: t.sku, Available: t.available, LowAt: t.lowAt}
}

// untold are SKUs that are low, or no more, of which the last event said otherwise.
const untold = "FROM stock WHERE low <> told_low"

// tellLow publishes which SKUs have become low, or are no more. A sale does nothing for it: the database sees the crossing (see the trigger of
// the table), and here it is told of. What is being sold at this moment comes last, one at a time, so that no other SKU waits with it.
func (s *service) tellLow(ctx context.Context) error {
	var some bool
	if err := s.store.Pool().QueryRow(ctx, "SELECT EXISTS (SELECT "+untold+")").Scan(&some); err != nil || !some {
		return err
	}
	for _, end := range []string{fmt.Sprint("LIMIT ", maxTold, " FOR UPDATE SKIP LOCKED"), "LIMIT 1 FOR UPDATE"} {
		last := "" // In their order, so that one that turns all the time is told of once.
		for range maxBatches {
			next, err := s.tell(ctx, last, end)
			if err != nil {
				return err
			}
			if next == last {
				break
			}
			last = next
		}
	}
	return nil
}

// tell tells of SKUs behind one that nobody has told of yet, and returns the last of them: how many, and what becomes of those that somebody is
// at, says the end of the query.
func (s *service) tell(ctx context.Context, after, end string) (last string, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		last = after
		rows, err := tx.Query(ctx, `WITH untold AS (SELECT sku `+untold+` AND sku > $1 ORDER BY sku `+end+`)
			UPDATE stock SET told_low = low, tellings = tellings + 1 FROM untold WHERE stock.sku = untold.sku
			RETURNING stock.sku, low, tellings, on_hand - reserved, coalesce(low_at, 0)`, after)
		if err != nil {
			return fmt.Errorf("load stock that has turned: %w", err)
		}
		turns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t turn, err error) {
			return t, row.Scan(&t.sku, &t.low, &t.tellings, &t.available, &t.lowAt)
		})
		if err != nil {
			return fmt.Errorf("load stock that has turned: %w", err)
		}
		for _, t := range turns {
			last = max(last, t.sku)
			if err := s.events.Publish(ctx, tx.Tx, t.sku, t.tellings, t.event()); err != nil {
				return err
			}
		}
		return nil
	})
	return last, err
}
