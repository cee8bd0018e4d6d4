package inventory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The stock has two figures a SKU that others wait for: what is on hand, and what of it is reserved. Both could be added up from what is
// written down, movements and live reservations, and must always be what that yields. The audit adds them up, and says where they are not. It
// repairs nothing: that figures contradict means that something is wrong which somebody has to find (docs/adr/0029).

const (
	// auditEvery is how long after a pass has ended the next one begins.
	auditEvery = 6 * time.Hour
	// auditInterval is how often a replica goes on with the pass, or looks whether one is due. maxAudited SKUs are looked at by one
	// statement, and maxAudits such statements are made in a run: a million SKUs take about half an hour, and little of the time of the database.
	auditInterval = 5 * time.Second
	maxAudited    = 250
	maxAudits     = 10
	// maxDrifts bounds how many findings are counted.
	maxDrifts = 10_000
)

// figures are what the stock says of a SKU, and what it should say.
type figures struct {
	sku                           string
	onHand, reserved, moved, held int64
}

func (f figures) drifted() bool { return f.onHand != f.moved || f.reserved != f.held }

// figuresOf selects the figures of rows of the stock. They are of one moment, because it is one statement: whatever changes one figure
// changes the other side of it in the same transaction. So nothing has to be locked to compare them.
//
// PostgreSQL has no choice but to look up the lines of a SKU, and the reservation of each that has pieces left. OFFSET forbids it to begin with
// all reservations, for each SKU anew.
const figuresOf = `SELECT sku, on_hand, reserved,
		(SELECT coalesce(sum(delta), 0)::bigint FROM movement m WHERE m.sku = stock.sku),
		(SELECT coalesce(sum(l.pieces), 0)::bigint
			FROM (SELECT reservation_id, quantity - shipped - withdrawn AS pieces FROM reservation_line
				WHERE sku = stock.sku AND quantity > shipped + withdrawn OFFSET 0) l
			CROSS JOIN LATERAL (SELECT FROM reservation WHERE id = l.reservation_id AND state IN ('held', 'committed') OFFSET 0) r)
	FROM stock WHERE `

func loadFigures(ctx context.Context, tx tx, which string, args ...any) ([]figures, error) {
	rows, err := tx.Query(ctx, figuresOf+which, args...)
	if err != nil {
		return nil, fmt.Errorf("add up the stock: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f figures, err error) {
		return f, row.Scan(&f.sku, &f.onHand, &f.reserved, &f.moved, &f.held)
	})
	if err != nil {
		return nil, fmt.Errorf("add up the stock: %w", err)
	}
	return all, nil
}

// figuresAfter returns the figures of the next SKUs after one.
func figuresAfter(ctx context.Context, tx tx, sku string, limit int) ([]figures, error) {
	return loadFigures(ctx, tx, "sku > $1 ORDER BY sku LIMIT $2", sku, limit)
}

// audit goes on with the pass over the stock where the last batch has ended, in whatever process that was, and begins one that is due.
func (s *service) audit(ctx context.Context) error {
	for range maxAudits {
		more, err := s.auditBatch(ctx)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		fault.Point("inventory/audit/batch")
	}
	var found, began float64
	if err := s.store.Pool().QueryRow(ctx, `SELECT (SELECT count(*)::float8 FROM (SELECT FROM stock_drift LIMIT $1) AS found),
		coalesce(extract(epoch FROM start_time)::float8, 0) FROM stock_audit`, maxDrifts).Scan(&found, &began); err != nil {
		return fmt.Errorf("count drifts: %w", err)
	}
	s.drifts.Set(found)
	s.audited.Set(began)
	return nil
}

// auditBatch looks at the next SKUs of the pass, keeps what it finds together with how far it is, and reports whether there are more. It does
// nothing while another replica is at it, or if no pass is due.
func (s *service) auditBatch(ctx context.Context) (more bool, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		var position string
		var fresh bool
		var checked, drifted int64
		err := tx.QueryRow(ctx, `SELECT position, checked, drifted, start_time IS NULL OR end_time IS NOT NULL FROM stock_audit
			WHERE end_time IS NULL OR end_time < now() - $1::interval FOR UPDATE SKIP LOCKED`, auditEvery).Scan(&position, &checked, &drifted, &fresh)
		if errors.Is(err, pgx.ErrNoRows) {
			more = false
			return nil
		}
		if err != nil {
			return fmt.Errorf("load the audit: %w", err)
		}
		if fresh {
			position, checked, drifted = "", 0, 0
		}
		all, err := figuresAfter(ctx, tx, position, maxAudited)
		if err != nil {
			return err
		}
		more = len(all) == maxAudited
		wrong := slices.DeleteFunc(slices.Clone(all), func(f figures) bool { return !f.drifted() })
		to := position
		if len(all) > 0 {
			to = all[len(all)-1].sku
		}
		if err := s.keepDrifts(ctx, tx, position, to, more, wrong); err != nil {
			return err
		}
		checked, drifted = checked+int64(len(all)), drifted+int64(len(wrong))
		tx.Defer(`UPDATE stock_audit SET position = $1, checked = $2, drifted = $3, start_time = CASE WHEN $4 THEN now() ELSE start_time END,
			end_time = CASE WHEN $5 THEN NULL ELSE now() END`, to, checked, drifted, fresh, more)
		if !more {
			db.AfterCommit(ctx, func() {
				s.log.LogAttrs(ctx, slog.LevelInfo, "the stock was audited", slog.Int64("skus", checked), slog.Int64("drifted", drifted))
			})
		}
		return nil
	})
	return more && err == nil, err
}

// keepDrifts keeps what is wrong among the SKUs behind one up to another, or up to the last if there are no more behind that, and forgets what
// was found there before and is right now. What is new it tells the log.
func (s *service) keepDrifts(ctx context.Context, tx tx, from, to string, more bool, wrong []figures) error {
	var skus []string
	var onHand, moved, reserved, held []int64
	for _, f := range wrong {
		skus, onHand, moved, reserved, held = append(skus, f.sku), append(onHand, f.onHand), append(moved, f.moved), append(reserved, f.reserved), append(held, f.held)
	}
	tx.Defer("DELETE FROM stock_drift WHERE sku > $1 AND (sku <= $2 OR NOT $3) AND sku <> ALL($4)", from, to, more, append([]string{}, skus...))
	if len(wrong) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `INSERT INTO stock_drift (sku, on_hand, moved, reserved, held)
		SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
		ON CONFLICT (sku) DO UPDATE SET on_hand = excluded.on_hand, moved = excluded.moved, reserved = excluded.reserved, held = excluded.held, update_time = now()
		RETURNING sku, create_time = now()`, skus, onHand, moved, reserved, held)
	if err != nil {
		return fmt.Errorf("keep drifts: %w", err)
	}
	fresh := map[string]bool{}
	var sku string
	var isNew bool
	if _, err := pgx.ForEachRow(rows, []any{&sku, &isNew}, func() error {
		fresh[sku] = isNew
		return nil
	}); err != nil {
		return fmt.Errorf("keep drifts: %w", err)
	}
	db.AfterCommit(ctx, func() {
		for _, f := range wrong {
			if fresh[f.sku] {
				s.log.LogAttrs(ctx, slog.LevelError, "the figures of a SKU contradict its movements or reservations: see cleave stock drift", slog.String("sku", f.sku),
					slog.Int64("on_hand", f.onHand), slog.Int64("moved", f.moved), slog.Int64("reserved", f.reserved), slog.Int64("held", f.held))
			}
		}
	})
	return nil
}

func (s *service) ListStockDrifts(ctx context.Context, r *inventoryv1.ListStockDriftsRequest) (*inventoryv1.ListStockDriftsResponse, error) {
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), "")
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	rows, err := s.store.Pool().Query(ctx, "SELECT sku, on_hand, moved, reserved, held, create_time, update_time FROM stock_drift WHERE sku > $1 ORDER BY sku LIMIT $2", after, size+1)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	drifts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*inventoryv1.StockDrift, error) {
		m := &inventoryv1.StockDrift{}
		var found, seen time.Time
		err := row.Scan(&m.Sku, &m.OnHand, &m.Moved, &m.Reserved, &m.Held, &found, &seen)
		m.CreateTime, m.UpdateTime = timestamppb.New(found), timestamppb.New(seen)
		return m, err
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("list drifts: %w", err))
	}
	answer := &inventoryv1.ListStockDriftsResponse{}
	answer.Drifts, answer.NextPageToken = page.Cut(drifts, size, "", (*inventoryv1.StockDrift).GetSku)
	return answer, nil
}

func (s *service) RepairStock(ctx context.Context, r *inventoryv1.RepairStockRequest) (*inventoryv1.RepairStockResponse, error) {
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*inventoryv1.RepairStockResponse, error) {
		return repair(ctx, tx, slices.Compact(slices.Sorted(slices.Values(r.GetSkus()))), r.GetReason())
	})
}

// repair makes the figures of the SKUs what they should be. It locks the stock first and adds up afterwards, so that nobody changes meanwhile
// what is added up: who reserves, ships or adjusts has to have the same rows.
func repair(ctx context.Context, tx tx, skus []string, reason string) (*inventoryv1.RepairStockResponse, error) {
	tx.Defer("SELECT FROM stock_audit FOR UPDATE") // An audit that saw the figures as they were must not write that down afterwards.
	if err := lockKnown(ctx, tx, skus); err != nil {
		return nil, err
	}
	all, err := loadFigures(ctx, tx, "sku = ANY($1) ORDER BY sku", skus)
	if err != nil {
		return nil, err
	}
	answer := &inventoryv1.RepairStockResponse{}
	var movements []*ent.MovementCreate
	var repaired []string
	var moved, held []int64
	for _, f := range all {
		if !f.drifted() {
			continue
		}
		if f.held > f.moved {
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "STOCK_BELOW_RESERVED",
				"%s: the movements say that there are %d pieces, and %d are reserved: adjust the stock by %d first", f.sku, f.moved, f.held, f.held-f.moved)
		}
		answer.Repaired = append(answer.Repaired, &inventoryv1.StockDrift{Sku: f.sku, OnHand: f.onHand, Moved: f.moved, Reserved: f.reserved, Held: f.held})
		repaired, moved, held = append(repaired, f.sku), append(moved, f.moved), append(held, f.held)
		what := fmt.Sprintf("repaired: on hand %d, now %d; reserved %d, now %d", f.onHand, f.moved, f.reserved, f.held)
		if reason != "" {
			what += ": " + reason
		}
		movements = append(movements, tx.Ent.Movement.Create().SetSku(f.sku).SetDelta(0).SetReason(what).SetUserID(userOf(ctx)))
	}
	tx.Defer("DELETE FROM stock_drift WHERE sku = ANY($1)", skus)
	if len(repaired) == 0 {
		return answer, nil
	}
	tx.Defer("UPDATE stock SET on_hand = moved, reserved = held FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS now (sku, moved, held) WHERE stock.sku = now.sku",
		repaired, moved, held)
	if err := tx.Ent.Movement.CreateBulk(movements...).Exec(ctx); err != nil {
		return nil, fmt.Errorf("write movements: %w", err)
	}
	return answer, nil
}
