package inventory

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// sweepInterval is how often holds whose time is up are looked for. They do not count anyway.
	sweepInterval = time.Second
	// maxOverdue bounds how many holds are ended by one transaction, maxBatches how many such transactions follow each other.
	maxOverdue = 100
	maxBatches = 100
)

// expireHolds ends holds whose time is up. Those that somebody else is at are left for the next time.
func (s *service) expireHolds(ctx context.Context) error {
	var due bool
	if err := s.store.Pool().QueryRow(ctx, "SELECT EXISTS (SELECT FROM reservation r WHERE "+overdue+")").Scan(&due); err != nil || !due {
		return err
	}
	return s.expire(ctx, fmt.Sprint("SELECT id FROM reservation r WHERE ", overdue, " ORDER BY expire_time LIMIT ", maxOverdue, " FOR UPDATE SKIP LOCKED"))
}

// expireInTheWay ends holds on the lines whose time is up. It waits for whoever is at one of them, so that the pieces of all are there
// afterwards. It locks them in the order of their ids: nobody waits in a circle.
func (s *service) expireInTheWay(ctx context.Context, lines []line) error {
	return s.expire(ctx, fmt.Sprint(`SELECT id FROM reservation r WHERE `, overdue, ` AND EXISTS (SELECT FROM reservation_line l WHERE l.reservation_id = r.id AND l.sku = ANY($1))
		ORDER BY id LIMIT `, maxOverdue, ` FOR UPDATE`), skus(lines))
}

// expire ends the holds that a query selects and locks, as long as it finds some, and gives their pieces back.
func (s *service) expire(ctx context.Context, due string, args ...any) error {
	for range maxBatches {
		var lines []line
		if err := s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
			rows, err := tx.Query(ctx, `WITH due AS (`+due+`),
					ended AS (UPDATE reservation SET state = 'expired' FROM due WHERE reservation.id = due.id RETURNING reservation.id)
				SELECT sku, sum(quantity)::bigint FROM reservation_line JOIN ended ON ended.id = reservation_id GROUP BY sku`, args...)
			if err != nil {
				return fmt.Errorf("end overdue holds: %w", err)
			}
			lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l line, err error) { return l, row.Scan(&l.sku, &l.quantity) })
			if err != nil {
				return fmt.Errorf("end overdue holds: %w", err)
			}
			changeStock(tx, lines, change{reserved: -1})
			return nil
		}); err != nil || len(lines) == 0 {
			return err
		}
	}
	return nil
}
