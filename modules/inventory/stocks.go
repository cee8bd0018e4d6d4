package inventory

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/page"
	"github.com/cleave-go/cleave/platform/rpc"
)

// How the people of the shop see the stock.

// stockFrom selects stock s and what the holds o keep whose time is up, out of a selection of rows of the table.
func stockFrom(selection string) string {
	return "SELECT s.sku, s.on_hand, s.reserved, " + availableNow + ", s.low_at, s.low FROM (" + selection + ") s LEFT JOIN (" + overdueQuantities + ") o ON o.sku = s.sku ORDER BY s.sku"
}

var (
	listStock    = stockFrom("SELECT * FROM stock WHERE sku > $1 ORDER BY sku LIMIT $2")
	listLowStock = stockFrom("SELECT * FROM stock WHERE sku > $1 AND low ORDER BY sku LIMIT $2")
	getStocks    = stockFrom("SELECT * FROM stock WHERE sku = ANY($1)")
)

// loadStock runs one of the queries above.
func loadStock(ctx context.Context, q queryer, query string, args ...any) ([]*inventoryv1.Stock, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("load stock: %w", err)
	}
	stock, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*inventoryv1.Stock, error) {
		m := &inventoryv1.Stock{}
		return m, row.Scan(&m.Sku, &m.OnHand, &m.Reserved, &m.Available, &m.LowAt, &m.Low)
	})
	if err != nil {
		return nil, fmt.Errorf("load stock: %w", err)
	}
	return stock, nil
}

func (s *service) GetStock(ctx context.Context, r *inventoryv1.GetStockRequest) (*inventoryv1.GetStockResponse, error) {
	found, err := loadStock(ctx, s.store.Pool(), getStocks, []string{r.GetSku()})
	if err != nil {
		return nil, db.Unavailable(err)
	}
	if len(found) == 0 {
		return nil, rpc.NotFound("stock", r.GetSku())
	}
	return &inventoryv1.GetStockResponse{Stock: found[0]}, nil
}

func (s *service) ListStock(ctx context.Context, r *inventoryv1.ListStockRequest) (*inventoryv1.ListStockResponse, error) {
	query, filter := listStock, ""
	if r.GetLow() {
		query, filter = listLowStock, "low"
	}
	size := page.Size(r.GetPageSize())
	after, err := page.Decode(r.GetPageToken(), filter)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	stock, err := loadStock(ctx, s.store.Pool(), query, after, size+1)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &inventoryv1.ListStockResponse{}
	answer.Stock, answer.NextPageToken = page.Cut(stock, size, filter, (*inventoryv1.Stock).GetSku)
	return answer, nil
}

const (
	movementColumns = "SELECT id, sku, delta, reason, coalesce(reservation_id, ''), coalesce(user_id, ''), create_time FROM movement"
	listMovements   = movementColumns + " WHERE id < $1 ORDER BY id DESC LIMIT $2"
	listMovementsOf = movementColumns + " WHERE id < $1 AND sku = $3 ORDER BY id DESC LIMIT $2"
)

func (s *service) ListStockMovements(ctx context.Context, r *inventoryv1.ListStockMovementsRequest) (*inventoryv1.ListStockMovementsResponse, error) {
	size := page.Size(r.GetPageSize())
	last, err := page.Decode(r.GetPageToken(), r.GetSku())
	before := int64(math.MaxInt64)
	if err == nil && last != "" {
		if before, err = strconv.ParseInt(last, 10, 64); err != nil {
			err = page.ErrToken
		}
	}
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	query, args := listMovements, []any{before, size + 1}
	if r.GetSku() != "" {
		query, args = listMovementsOf, append(args, r.GetSku())
	}
	rows, err := s.store.Pool().Query(ctx, query, args...)
	if err != nil {
		return nil, db.Unavailable(err)
	}
	movements, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*inventoryv1.StockMovement, error) {
		m := &inventoryv1.StockMovement{}
		var at time.Time
		err := row.Scan(&m.Id, &m.Sku, &m.Delta, &m.Reason, &m.ReservationId, &m.UserId, &at)
		m.CreateTime = timestamppb.New(at)
		return m, err
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("list movements: %w", err))
	}
	answer := &inventoryv1.ListStockMovementsResponse{}
	answer.Movements, answer.NextPageToken = page.Cut(movements, size, r.GetSku(), func(m *inventoryv1.StockMovement) string { return strconv.FormatInt(m.GetId(), 10) })
	return answer, nil
}

func (s *service) SetStockThresholds(ctx context.Context, r *inventoryv1.SetStockThresholdsRequest) (*inventoryv1.SetStockThresholdsResponse, error) {
	lowAt := map[string]*int64{}
	for _, t := range r.GetThresholds() {
		lowAt[t.GetSku()] = t.LowAt
	}
	skus := slices.Sorted(maps.Keys(lowAt))
	thresholds := make([]*int64, len(skus))
	for i, sku := range skus {
		thresholds[i] = lowAt[sku]
	}
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*inventoryv1.SetStockThresholdsResponse, error) {
		if err := lockKnown(ctx, tx, skus); err != nil {
			return nil, err
		}
		tx.Defer("UPDATE stock SET low_at = given.low_at FROM unnest($1::text[], $2::bigint[]) AS given (sku, low_at) WHERE stock.sku = given.sku", skus, thresholds)
		stock, err := loadStock(ctx, tx, getStocks, skus)
		return &inventoryv1.SetStockThresholdsResponse{Stock: stock}, err
	})
}

// lockKnown locks the stock of the SKUs, in their order, and fails if there is none of one of them.
func lockKnown(ctx context.Context, tx tx, skus []string) error {
	rows, err := tx.Query(ctx, "SELECT sku FROM stock WHERE sku = ANY($1) ORDER BY sku FOR UPDATE", skus)
	if err != nil {
		return fmt.Errorf("lock stock: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("lock stock: %w", err)
	}
	for _, sku := range skus {
		if !slices.Contains(found, sku) {
			return rpc.NotFound("stock", sku)
		}
	}
	return nil
}
