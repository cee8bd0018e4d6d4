package inventory

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/modules/inventory/internal/ent"
)

// A checkout waits for these statements, so they are few, written by hand, and deferred where nobody reads what they yield.
//
// Locks are taken in one order everywhere: a reservation, then the stock of its lines by SKU. So nobody waits in a circle.

// lockStock locks the stock of the lines, in the order of the SKUs, and returns how many pieces of each are free. A SKU without stock is
// left out.
func lockStock(ctx context.Context, tx tx, lines []line) (map[string]int64, error) {
	rows, err := tx.Query(ctx, "SELECT sku, on_hand - reserved FROM stock WHERE sku = ANY($1) ORDER BY sku FOR UPDATE", skus(lines))
	if err != nil {
		return nil, fmt.Errorf("lock stock: %w", err)
	}
	free, err := collectBySKU(rows)
	if err != nil {
		return nil, fmt.Errorf("lock stock: %w", err)
	}
	return free, nil
}

// createStock makes sure that there is a row for each line.
func createStock(ctx context.Context, tx tx, lines []line) error {
	if _, err := tx.Exec(ctx, "INSERT INTO stock (sku) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", skus(lines)); err != nil {
		return fmt.Errorf("create stock: %w", err)
	}
	return nil
}

// change says what lines do to the stock: they are added (+1), taken away (-1), or do nothing (0).
type change struct{ onHand, reserved int64 }

// changeStock changes the stock by the lines. It locks what the caller has not locked, in the order of the SKUs.
func changeStock(tx tx, lines []line, c change) {
	tx.Defer(`WITH locked AS (
			SELECT stock.sku, line.quantity FROM stock JOIN unnest($1::text[], $2::bigint[]) AS line (sku, quantity) USING (sku)
			ORDER BY stock.sku FOR UPDATE OF stock)
		UPDATE stock SET on_hand = on_hand + $3 * quantity, reserved = reserved + $4 * quantity
		FROM locked WHERE stock.sku = locked.sku`, skus(lines), quantities(lines), c.onHand, c.reserved)
}

// moveStock is changeStock for what comes or goes: it writes down why.
func moveStock(ctx context.Context, tx tx, lines []line, c change, why []*ent.MovementCreate) error {
	changeStock(tx, lines, c)
	if err := tx.Ent.Movement.CreateBulk(why...).Exec(ctx); err != nil {
		return fmt.Errorf("write movements: %w", err)
	}
	return nil
}

// availability returns the pieces that can be sold of each SKU. Holds whose time is up do not count.
func (s *service) availability(ctx context.Context, skus []string) (map[string]int64, error) {
	rows, err := s.store.Pool().Query(ctx, availabilityQuery, skus)
	if err != nil {
		return nil, fmt.Errorf("load stock: %w", err)
	}
	return collectBySKU(rows)
}

// availabilityQuery is planned once, as insertHold is: pages of products ask for it, and to plan it for each list of SKUs anew would take
// longer than to run it. It is a look into an index for each SKU, however large the stock is, and one at the holds whose time is up.
const availabilityQuery = `SELECT s.sku, ` + availableNow + ` FROM (SELECT DISTINCT sku FROM unnest((SELECT $1::text[])) AS sku) wanted
	CROSS JOIN LATERAL (SELECT * FROM stock WHERE stock.sku = wanted.sku OFFSET 0) s LEFT JOIN (` + overdueQuantities + `) o ON o.sku = s.sku`

// availableNow is how many pieces of the stock s can be sold, with what the holds o keep whose time is up.
const availableNow = "(s.on_hand - s.reserved + coalesce(o.quantity, 0))::bigint"

// overdueBySKU returns how many pieces of each SKU are in holds whose time is up.
func overdueBySKU(ctx context.Context, tx tx, lines []line) (map[string]int64, error) {
	rows, err := tx.Query(ctx, "SELECT sku, quantity FROM ("+overdueQuantities+") o WHERE sku = ANY($1)", skus(lines))
	if err != nil {
		return nil, fmt.Errorf("load overdue holds: %w", err)
	}
	return collectBySKU(rows)
}

// overdueQuantities selects how many pieces of each SKU are in holds whose time is up. It begins with these holds, which the sweep keeps few,
// and not with the SKUs, of which one may be in every order that there ever was.
const overdueQuantities = `SELECT l.sku, sum(l.quantity)::bigint AS quantity FROM (SELECT id FROM reservation r WHERE ` + overdue + ` OFFSET 0) r
	CROSS JOIN LATERAL (SELECT sku, quantity FROM reservation_line WHERE reservation_id = r.id OFFSET 0) l GROUP BY l.sku`

// overdue is true of a hold r whose time is up, by the database's clock.
const overdue = "r.state = 'held' AND r.expire_time < now()"

func collectBySKU(rows pgx.Rows) (map[string]int64, error) {
	quantities := map[string]int64{}
	var sku string
	var quantity int64
	_, err := pgx.ForEachRow(rows, []any{&sku, &quantity}, func() error {
		quantities[sku] = quantity
		return nil
	})
	return quantities, err
}

func skus(lines []line) []string {
	list := make([]string, len(lines))
	for i, l := range lines {
		list[i] = l.sku
	}
	return list
}

func quantities(lines []line) []int64 {
	list := make([]int64, len(lines))
	for i, l := range lines {
		list[i] = l.quantity
	}
	return list
}
