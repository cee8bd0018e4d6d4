package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/rpc"
)

// row is a reservation with its lines, by SKU.
type row struct {
	id, reference string
	state         state
	expireTime    time.Time
	lines         []line
}

// columns are those of a reservation, in the order in which scan reads them.
const columns = `id, reference, state, expire_time,
	ARRAY(SELECT sku FROM reservation_line WHERE reservation_id = reservation.id ORDER BY sku),
	ARRAY(SELECT quantity FROM reservation_line WHERE reservation_id = reservation.id ORDER BY sku)`

// scan reads the columns, and more that come after them.
func scan(from pgx.Row, more ...any) (*row, error) {
	var r row
	var skus []string
	var quantities []int64
	if err := from.Scan(append([]any{&r.id, &r.reference, &r.state, &r.expireTime, &skus, &quantities}, more...)...); err != nil {
		return nil, err
	}
	for i, sku := range skus {
		r.lines = append(r.lines, line{sku, quantities[i]})
	}
	return &r, nil
}

// queryer is a pool or a transaction.
type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// loadReservation returns a reservation. The lock is what SQL calls it, or "".
func loadReservation(ctx context.Context, q queryer, reservationID, lock string) (*row, error) {
	r, err := scan(q.QueryRow(ctx, "SELECT "+columns+" FROM reservation WHERE id = $1 "+lock, reservationID))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpc.NotFound("reservation", reservationID)
	}
	if err != nil {
		return nil, fmt.Errorf("load reservation %s: %w", reservationID, err)
	}
	return r, nil
}

// insertHold writes a new hold and sets its pieces aside, by one statement: a constraint fails the transaction if they are not all there.
// The stock of the lines is locked in the order of the SKUs. When the hold ends is known with the commit, and until then missing from what
// it returns.
//
// PostgreSQL plans it once, because it does not see the lines inside a SELECT, and looks each of them up: LATERAL leaves it no other way,
// and conditions that always hold have it expect few lines, or it would read a small stock from end to end.
func insertHold(tx tx, r row, ttl time.Duration) *inventoryv1.Reservation {
	m := message(&r)
	m.ExpireTime = nil
	tx.Defer(`WITH line AS (SELECT * FROM unnest((SELECT $5::text[]), (SELECT $6::bigint[])) AS line (sku, quantity)),
			locked AS (
				SELECT line.*, enough FROM (SELECT * FROM line ORDER BY sku) AS line,
				LATERAL (SELECT on_hand - reserved >= quantity AS enough FROM stock WHERE sku = line.sku FOR UPDATE) AS stock
			), hold AS (
				INSERT INTO reservation (id, reference, state, expire_time) SELECT $1, $2, $3, now() + $4::interval
				WHERE (SELECT count(*) FROM locked WHERE enough) = cardinality($5) RETURNING id, expire_time
			), taken AS (
				UPDATE stock SET reserved = reserved + quantity FROM hold, locked WHERE stock.sku = locked.sku AND enough AND quantity > 0
			), lines AS (INSERT INTO reservation_line (reservation_id, sku, quantity) SELECT (SELECT id FROM hold), sku, quantity FROM line)
		SELECT expire_time FROM hold`, r.id, r.reference, r.state, ttl, skus(r.lines), quantities(r.lines)).QueryRow(func(got pgx.Row) error {
		var at time.Time
		err := got.Scan(&at)
		m.ExpireTime = timestamppb.New(at)
		return err
	})
	return m
}

// commitHold commits a hold without looking at it first: a constraint fails the transaction if it is none, in which case somebody has to
// look. What it returns is complete with the commit; until then it says which reservation it is, and where that is then.
//
// The state is asked for in a way that does not fit the index of the holds, which PostgreSQL would read from end to end if it has never
// counted one.
func commitHold(tx tx, reservationID string) *inventoryv1.Reservation {
	m := &inventoryv1.Reservation{Id: reservationID, State: messageStates[committed]}
	tx.Defer(`WITH moved AS (UPDATE reservation SET state = 'committed' WHERE id = $1 AND state || '' = 'held' RETURNING `+columns+`),
			unless AS (INSERT INTO reservation_line (reservation_id) SELECT NULL WHERE NOT EXISTS (SELECT FROM moved))
		SELECT * FROM moved`, reservationID).QueryRow(func(got pgx.Row) error {
		r, err := scan(got)
		if err == nil {
			fill(m, r)
		}
		return err
	})
	return m
}

// move brings a reservation into the next state, locks it, and reports whether it has moved: not if it is where it would be. What
// becomes of the stock is the caller's.
func move(ctx context.Context, tx tx, reservationID string, next state) (r *row, moved bool, err error) {
	for {
		r, err = scan(tx.QueryRow(ctx, "UPDATE reservation SET state = $2 WHERE id = $1 AND state = ANY($3) AND NOT ("+partly+") RETURNING "+columns,
			reservationID, next, before(next)))
		if err == nil {
			return r, true, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return nil, false, fmt.Errorf("set reservation %s %s: %w", reservationID, next, err)
		}
		if r, err = loadReservation(ctx, tx, reservationID, "FOR UPDATE"); err != nil {
			return nil, false, err
		}
		var gone bool
		if err := tx.QueryRow(ctx, "SELECT "+partly, reservationID).Scan(&gone); err != nil {
			return nil, false, fmt.Errorf("load lines of reservation %s: %w", reservationID, err)
		}
		switch {
		case r.state == committed && next == released && gone:
			return nil, false, rpc.Errorf(connect.CodeFailedPrecondition, "PARTLY_SHIPPED",
				"pieces of reservation %s have gone: name the lines that shall be released", reservationID)
		case r.state.canBecome(next): // Another moved it between the two statements. It is locked now.
		case r.state.isAs(next):
			return r, false, nil
		default:
			return nil, false, errState(r, "become "+string(next))
		}
	}
}

// partly is true if something was done with some pieces of the reservation $1.
const partly = "EXISTS (SELECT FROM reservation_line WHERE reservation_id = $1 AND shipped + withdrawn > 0)"

// perform does something with pieces of a reservation, which it locks, and returns what it was done with: nothing if no lines are named and
// the reservation is where it would be. What becomes of the stock is the caller's.
func perform(ctx context.Context, tx tx, reservationID string, d deed, lines []line) (r *row, done []line, err error) {
	if r, err = loadReservation(ctx, tx, reservationID, "FOR UPDATE"); err != nil {
		return nil, nil, err
	}
	if len(lines) == 0 && r.state == d.to {
		return r, nil, nil
	}
	if !slices.Contains(d.from, r.state) {
		return nil, nil, errState(r, "be "+d.name)
	}
	rows, err := tx.Query(ctx, "SELECT sku, quantity, shipped, returned, withdrawn FROM reservation_line WHERE reservation_id = $1 ORDER BY sku", r.id)
	if err != nil {
		return nil, nil, fmt.Errorf("load lines of reservation %s: %w", r.id, err)
	}
	portions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p portion, err error) {
		return p, row.Scan(&p.sku, &p.quantity, &p.shipped, &p.returned, &p.withdrawn)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("load lines of reservation %s: %w", r.id, err)
	}
	if done, err = d.do(portions, lines); err != nil {
		return nil, nil, rpc.Errorf(connect.CodeFailedPrecondition, "TOO_MANY", "reservation %s: %s", r.id, err)
	}
	if len(done) == 0 { // Nothing has gone that could come back.
		return nil, nil, errState(r, "be "+d.name)
	}
	updatePortions(tx, r.id, portions)
	if next := stateAfter(portions); next != r.state {
		r.state = next
		tx.Defer("UPDATE reservation SET state = $2 WHERE id = $1", r.id, next)
	}
	return r, done, nil
}

func updatePortions(tx tx, reservationID string, portions []portion) {
	var skus []string
	var shipped, returned, withdrawn []int64
	for _, p := range portions {
		skus, shipped, returned, withdrawn = append(skus, p.sku), append(shipped, p.shipped), append(returned, p.returned), append(withdrawn, p.withdrawn)
	}
	tx.Defer(`UPDATE reservation_line AS line SET shipped = p.shipped, returned = p.returned, withdrawn = p.withdrawn
		FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) AS p (sku, shipped, returned, withdrawn)
		WHERE reservation_id = $1 AND line.sku = p.sku`, reservationID, skus, shipped, returned, withdrawn)
}

// extend lets a hold last at least for ttl from now on. Of the state see [commitHold].
func extend(ctx context.Context, tx tx, reservationID string, ttl time.Duration) (*row, error) {
	r, err := scan(tx.QueryRow(ctx, `UPDATE reservation SET expire_time = greatest(expire_time, now() + $2), extended = true
		WHERE id = $1 AND state || '' = 'held' AND NOT extended RETURNING `+columns, reservationID, ttl))
	if err == nil {
		return r, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("extend reservation %s: %w", reservationID, err)
	}
	if r, err = loadReservation(ctx, tx, reservationID, ""); err != nil {
		return nil, err
	}
	if r.state != held {
		return nil, errState(r, "last longer")
	}
	return nil, rpc.Errorf(connect.CodeFailedPrecondition, "ALREADY_EXTENDED", "reservation %s was extended before: that is possible once", reservationID)
}
