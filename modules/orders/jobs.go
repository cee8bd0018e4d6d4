package orders

import (
	"context"
	"fmt"
	"time"
)

const (
	// abandonAfter is for how long a cart may lie untouched before it counts as left behind.
	abandonAfter = 30 * 24 * time.Hour
	// keepQuotes is for how long a quote that nobody can order any more is kept, so that who tries hears that it has expired. An order has
	// its lines from the quote and does not need it.
	keepQuotes = 7 * 24 * time.Hour
	tidyEvery  = 10 * time.Minute
	// tidyBatch is how many rows one statement changes, and maxBatches how many such statements follow each other.
	tidyBatch  = 1000
	maxBatches = 100
)

// tidy marks carts that were left behind, and removes quotes that expired long ago. Carts that somebody is at, or has asked a quote for that
// can still be ordered, are left for the next time.
func (s *service) tidy(ctx context.Context) error {
	if err := s.inBatches(ctx, `UPDATE cart SET state = $3 WHERE id IN (SELECT id FROM cart
		WHERE state = 'active' AND create_time < now() - $1::interval AND update_time < now() - $1::interval
			AND NOT EXISTS (SELECT 1 FROM quote WHERE cart_id = cart.id AND expire_time > now()) ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED)`,
		abandonAfter, tidyBatch, string(abandoned)); err != nil {
		return fmt.Errorf("mark carts that were left behind: %w", err)
	}
	if err := s.inBatches(ctx, `DELETE FROM quote WHERE id IN (SELECT id FROM quote WHERE expire_time < now() - $1::interval ORDER BY expire_time LIMIT $2)`,
		keepQuotes, tidyBatch); err != nil {
		return fmt.Errorf("remove old quotes: %w", err)
	}
	return nil
}

// inBatches runs a statement as long as it finds something to do.
func (s *service) inBatches(ctx context.Context, statement string, args ...any) error {
	for range maxBatches {
		tag, err := s.store.Pool().Exec(ctx, statement, args...)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
	}
	return nil
}
