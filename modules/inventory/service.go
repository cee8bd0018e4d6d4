package inventory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/event"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

// defaultTTL is how long a hold lasts whose caller does not say.
const defaultTTL = 15 * time.Minute

// service implements InventoryService and StockService: a transaction per method.
type service struct {
	store  *db.Store[*ent.Client]
	events *event.Events
	log    *slog.Logger
	// drifts is how many SKUs the audit has found whose figures contradict what is written down of them, and audited when its last pass began.
	drifts, audited prometheus.Gauge
	// shortAt is when there was last too little of something, in nanoseconds since 1970.
	shortAt atomic.Int64
}

type tx = db.Tx[*ent.Client]

func (s *service) BatchGetAvailability(ctx context.Context, r *inventoryv1.BatchGetAvailabilityRequest) (*inventoryv1.BatchGetAvailabilityResponse, error) {
	free, err := s.availability(ctx, r.GetSkus())
	if err != nil {
		return nil, db.Unavailable(err)
	}
	answer := &inventoryv1.BatchGetAvailabilityResponse{}
	for _, sku := range r.GetSkus() {
		answer.Availabilities = append(answer.Availabilities, &inventoryv1.Availability{Sku: sku, Available: free[sku]})
	}
	return answer, nil
}

func (s *service) AdjustStock(ctx context.Context, r *inventoryv1.AdjustStockRequest) (*inventoryv1.AdjustStockResponse, error) {
	lines := make([]line, 0, len(r.GetAdjustments()))
	for _, a := range r.GetAdjustments() {
		lines = append(lines, line{a.GetSku(), a.GetDelta()})
	}
	deltas, err := sum(lines)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*inventoryv1.AdjustStockResponse, error) {
		return adjust(ctx, tx, r, deltas)
	})
}

// adjust changes what is on hand and writes down why.
func adjust(ctx context.Context, tx tx, r *inventoryv1.AdjustStockRequest, deltas []line) (*inventoryv1.AdjustStockResponse, error) {
	if err := createStock(ctx, tx, deltas); err != nil {
		return nil, err
	}
	free, err := lockStock(ctx, tx, deltas)
	if err != nil {
		return nil, err
	}
	answer := &inventoryv1.AdjustStockResponse{}
	movements := make([]*ent.MovementCreate, 0, len(r.GetAdjustments()))
	for _, d := range deltas {
		switch {
		case free[d.sku]+d.quantity > maxFree:
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "STOCK_TOO_LARGE", "%s: there would be more than %d pieces, which is all that is counted", d.sku, int64(maxFree))
		case free[d.sku]+d.quantity < 0:
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "STOCK_BELOW_RESERVED",
				"%s: %d pieces can be taken away, not %d", d.sku, free[d.sku], -d.quantity)
		}
		answer.Availabilities = append(answer.Availabilities, &inventoryv1.Availability{Sku: d.sku, Available: free[d.sku] + d.quantity})
	}
	for _, a := range r.GetAdjustments() {
		movements = append(movements, tx.Ent.Movement.Create().SetSku(a.GetSku()).SetDelta(a.GetDelta()).SetReason(a.GetReason()).SetUserID(userOf(ctx)))
	}
	return answer, moveStock(ctx, tx, deltas, change{onHand: +1}, movements)
}

// maxFree bounds how many pieces of a SKU can be free, far from where a number would not fit its column.
const maxFree = 1_000_000_000_000

// userOf returns who asks.
func userOf(ctx context.Context) string { return rpc.MetadataOf(ctx).Principal.Subject }

func (s *service) Reserve(ctx context.Context, r *inventoryv1.ReserveRequest) (*inventoryv1.ReserveResponse, error) {
	lines, err := linesOf(r.GetLines())
	if err != nil {
		return nil, err
	}
	for range maxRounds {
		answer, err := s.reserveOnce(ctx, r, lines)
		if !errors.Is(err, errOverdue) {
			if err == nil {
				fault.Point("inventory/reserve/committed")
			}
			return answer, err
		}
		// Holds whose time is up do not count, also before the sweep has come: end them and try again.
		if err := s.expireInTheWay(ctx, lines); err != nil {
			return nil, db.Unavailable(err)
		}
	}
	return nil, connect.NewError(connect.CodeAborted, errors.New("holds on these pieces run out faster than they can be ended: try again"))
}

// maxRounds bounds how often a Reserve ends holds whose time is up and tries again. The second time is the last, unless the time of
// other holds was up meanwhile.
const maxRounds = 10

// errOverdue says that a reservation asks for pieces that only holds whose time is up keep from it.
var errOverdue = errors.New("holds whose time is up are in the way")

func (s *service) reserveOnce(ctx context.Context, r *inventoryv1.ReserveRequest, lines []line) (answer *inventoryv1.ReserveResponse, err error) {
	ttl := defaultTTL
	if r.GetTtl() != nil {
		ttl = r.GetTtl().AsDuration()
	}
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*inventoryv1.ReserveResponse, error) {
		if err := s.look(ctx, tx, lines); err != nil {
			return nil, err
		}
		hold := row{id: id.New("rsv"), reference: r.GetReference(), state: held, lines: lines}
		return &inventoryv1.ReserveResponse{Reservation: insertHold(tx, hold, ttl)}, nil
	})
	if m := answer.GetReservation(); err == nil && m.GetExpireTime() == nil { // It was kept before that was known.
		var at time.Time
		if err := s.store.Pool().QueryRow(ctx, "SELECT create_time + $2::interval FROM reservation WHERE id = $1", m.GetId(), ttl).Scan(&at); err != nil {
			return nil, db.Unavailable(fmt.Errorf("load reservation %s: %w", m.GetId(), err))
		}
		m.ExpireTime = timestamppb.New(at)
	}
	return answer, err
}

// lookFor is for how long after a shortage everybody looks first.
const lookFor = time.Second

// look locks the stock of the lines and fails if there is too little. The first time it leaves that to the constraint of the hold, which
// has the transaction run again. While something sells out it does not: that would be tried in vain again and again, and each time is an
// error in the log of the server.
func (s *service) look(ctx context.Context, tx tx, lines []line) error {
	if db.FirstTry(ctx) && time.Now().UnixNano()-s.shortAt.Load() > int64(lookFor) {
		return nil
	}
	free, err := lockStock(ctx, tx, lines)
	if err != nil {
		return err
	}
	if _, short := shortage(lines, free); !short {
		return nil
	}
	s.shortAt.Store(time.Now().UnixNano())
	return whyShort(ctx, tx, lines, free)
}

// whyShort says whether holds whose time is up are in the way of the lines, or whether there is less than they ask for. Nobody can end
// a hold meanwhile, because the stock is locked.
func whyShort(ctx context.Context, tx tx, lines []line, free map[string]int64) error {
	overdue, err := overdueBySKU(ctx, tx, lines)
	if err != nil {
		return err
	}
	for sku, quantity := range overdue {
		free[sku] += quantity
	}
	if l, short := shortage(lines, free); short {
		return rpc.Errorf(connect.CodeFailedPrecondition, "OUT_OF_STOCK", "%s: %d pieces are wanted, %d can be sold", l.sku, l.quantity, free[l.sku])
	}
	return errOverdue
}

func (s *service) GetReservation(ctx context.Context, r *inventoryv1.GetReservationRequest) (*inventoryv1.GetReservationResponse, error) {
	row, err := loadReservation(ctx, s.store.Pool(), r.GetId(), "")
	if err != nil {
		return nil, db.Unavailable(err)
	}
	return &inventoryv1.GetReservationResponse{Reservation: message(row)}, nil
}

// message maps a reservation and its lines.
func message(row *row) *inventoryv1.Reservation {
	if row == nil {
		return nil
	}
	m := &inventoryv1.Reservation{Id: row.id, State: messageStates[row.state]}
	fill(m, row)
	return m
}

// fill maps what is left of a reservation beside its id and state.
func fill(m *inventoryv1.Reservation, row *row) {
	m.Reference, m.ExpireTime, m.Lines = row.reference, timestamppb.New(row.expireTime), nil
	for _, l := range row.lines {
		m.Lines = append(m.Lines, &inventoryv1.Line{Sku: l.sku, Quantity: l.quantity})
	}
}
