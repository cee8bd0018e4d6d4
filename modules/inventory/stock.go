package inventory

import (
	"context"
	"fmt"
	"sort"

	"connectrpc.com/connect"
	"entgo.io/ent/dialect/sql"

	"github.com/cleave-go/cleave/modules/inventory/internal/ent"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent/reservation"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent/reservationline"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent/stock"
	"github.com/cleave-go/cleave/platform/rpc"
)

// Locks are taken in one order everywhere: a reservation, then the stock of its lines by SKU. So nobody waits in a circle.

// stockRow is what there is of a SKU.
type stockRow struct{ onHand, reserved int64 }

func (s stockRow) free() int64 { return s.onHand - s.reserved }

// lockStock locks the stock of the lines, in the order of the SKUs, and returns it. A SKU without stock is left out.
func lockStock(ctx context.Context, tx tx, lines []line) (map[string]stockRow, error) {
	rows, err := tx.Ent.Stock.Query().Where(stock.IDIn(skus(lines)...)).Order(stock.ByID()).ForUpdate().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("lock stock: %w", err)
	}
	found := make(map[string]stockRow, len(rows))
	for _, row := range rows {
		found[row.ID] = stockRow{row.OnHand, row.Reserved}
	}
	return found, nil
}

// createStock makes sure that there is a row for each line.
func createStock(ctx context.Context, tx tx, lines []line) error {
	if _, err := tx.Exec(ctx, "INSERT INTO stock (sku) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", skus(lines)); err != nil {
		return fmt.Errorf("create stock: %w", err)
	}
	return nil
}

// changeOnHand adds the lines to what is on hand. The rows are locked by the caller.
func changeOnHand(ctx context.Context, tx tx, lines []line) error {
	if _, err := tx.Exec(ctx, `UPDATE stock SET on_hand = on_hand + d.quantity
		FROM unnest($1::text[], $2::bigint[]) AS d (sku, quantity) WHERE stock.sku = d.sku`, skus(lines), quantities(lines, +1)); err != nil {
		return fmt.Errorf("change stock: %w", err)
	}
	return nil
}

// changeReserved adds the lines to what is reserved (sign +1), or takes them away (-1). The rows are locked by the caller.
func changeReserved(ctx context.Context, tx tx, lines []line, sign int64) error {
	if _, err := tx.Exec(ctx, `UPDATE stock SET reserved = reserved + d.quantity
		FROM unnest($1::text[], $2::bigint[]) AS d (sku, quantity) WHERE stock.sku = d.sku`, skus(lines), quantities(lines, sign)); err != nil {
		return fmt.Errorf("change reserved stock: %w", err)
	}
	return nil
}

// availability returns the pieces that can be sold of each SKU. Holds whose time is up do not count.
func (s *service) availability(ctx context.Context, skus []string) (map[string]int64, error) {
	rows, err := s.store.Ent.Stock.Query().Where(stock.IDIn(skus...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load stock: %w", err)
	}
	free := make(map[string]int64, len(rows))
	for _, row := range rows {
		free[row.ID] = row.OnHand - row.Reserved
	}
	overdue, err := overdueBySKU(ctx, s.store.Ent, skus)
	if err != nil {
		return nil, err
	}
	for sku, quantity := range overdue {
		free[sku] += quantity
	}
	return free, nil
}

// overdueBySKU returns how many pieces of each SKU are in holds whose time is up.
func overdueBySKU(ctx context.Context, client *ent.Client, skus []string) (map[string]int64, error) {
	lines, err := client.ReservationLine.Query().
		Where(reservationline.SkuIn(skus...), reservationline.HasReservationWith(overdueHold)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("load overdue holds: %w", err)
	}
	overdue := map[string]int64{}
	for _, l := range lines {
		overdue[l.Sku] += l.Quantity
	}
	return overdue, nil
}

// overdueHold selects holds whose time is up, by the database's clock.
func overdueHold(s *sql.Selector) {
	s.Where(sql.And(sql.EQ(s.C(reservation.FieldState), string(held)), sql.ExprP(s.C(reservation.FieldExpireTime)+" < now()")))
}

// lockReservation locks a reservation and loads its lines.
func lockReservation(ctx context.Context, tx tx, reservationID string) (*ent.Reservation, error) {
	row, err := tx.Ent.Reservation.Query().Where(reservation.ID(reservationID)).ForUpdate().Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("reservation", reservationID)
	}
	if err != nil {
		return nil, fmt.Errorf("lock reservation %s: %w", reservationID, err)
	}
	if row.Edges.Lines, err = row.QueryLines().All(ctx); err != nil {
		return nil, fmt.Errorf("load lines of reservation %s: %w", reservationID, err)
	}
	return row, nil
}

// setState moves a locked reservation on. If it has no claim any more its pieces are free again.
func setState(ctx context.Context, tx tx, row *ent.Reservation, next state) error {
	from := state(row.State)
	if !from.canBecome(next) {
		return rpc.Errorf(connect.CodeFailedPrecondition, "RESERVATION_STATE", "reservation %s is %s and cannot become %s", row.ID, from, next)
	}
	if from.claims() && !next.claims() {
		lines := linesOf(row)
		if _, err := lockStock(ctx, tx, lines); err != nil {
			return err
		}
		if err := changeReserved(ctx, tx, lines, -1); err != nil {
			return err
		}
	}
	if err := tx.Ent.Reservation.UpdateOneID(row.ID).SetState(string(next)).Exec(ctx); err != nil {
		return fmt.Errorf("set reservation %s %s: %w", row.ID, next, err)
	}
	row.State = string(next)
	return nil
}

// linesOf returns the lines of a loaded reservation by SKU.
func linesOf(row *ent.Reservation) []line {
	lines := make([]line, 0, len(row.Edges.Lines))
	for _, l := range row.Edges.Lines {
		lines = append(lines, line{l.Sku, l.Quantity})
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i].sku < lines[j].sku })
	return lines
}

func skus(lines []line) []string {
	list := make([]string, len(lines))
	for i, l := range lines {
		list[i] = l.sku
	}
	return list
}

func quantities(lines []line, sign int64) []int64 {
	list := make([]int64, len(lines))
	for i, l := range lines {
		list[i] = sign * l.quantity
	}
	return list
}
