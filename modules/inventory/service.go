package inventory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent/reservation"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/job"
	"github.com/cleave-go/cleave/platform/rpc"
)

// defaultTTL is how long a hold lasts whose caller does not say.
const defaultTTL = 15 * time.Minute

// service implements InventoryService: a transaction per method.
type service struct {
	store *db.Store[*ent.Client]
	jobs  *job.Client
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
	var answer *inventoryv1.AdjustStockResponse
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		answer, err = idempotency.Once(ctx, tx, r, func() (*inventoryv1.AdjustStockResponse, error) {
			return adjust(ctx, tx, r, deltas)
		})
		return err
	})
	return answer, err
}

// adjust changes what is on hand and writes down why.
func adjust(ctx context.Context, tx tx, r *inventoryv1.AdjustStockRequest, deltas []line) (*inventoryv1.AdjustStockResponse, error) {
	if err := createStock(ctx, tx, deltas); err != nil {
		return nil, err
	}
	stock, err := lockStock(ctx, tx, deltas)
	if err != nil {
		return nil, err
	}
	answer := &inventoryv1.AdjustStockResponse{}
	for _, d := range deltas {
		free := stock[d.sku].free() + d.quantity
		if free < 0 {
			return nil, rpc.Errorf(connect.CodeFailedPrecondition, "STOCK_BELOW_RESERVED",
				"%s: %d pieces can be taken away, not %d", d.sku, stock[d.sku].free(), -d.quantity)
		}
		answer.Availabilities = append(answer.Availabilities, &inventoryv1.Availability{Sku: d.sku, Available: free})
	}
	if err := changeOnHand(ctx, tx, deltas); err != nil {
		return nil, err
	}
	movements := make([]*ent.MovementCreate, 0, len(r.GetAdjustments()))
	for _, a := range r.GetAdjustments() {
		movements = append(movements, tx.Ent.Movement.Create().SetSku(a.GetSku()).SetDelta(a.GetDelta()).SetReason(a.GetReason()))
	}
	if err := tx.Ent.Movement.CreateBulk(movements...).Exec(ctx); err != nil {
		return nil, fmt.Errorf("write movements: %w", err)
	}
	return answer, nil
}

// errOverdue says that a reservation asks for pieces that only holds whose time is up keep from it.
var errOverdue = errors.New("holds whose time is up are in the way")

func (s *service) Reserve(ctx context.Context, r *inventoryv1.ReserveRequest) (*inventoryv1.ReserveResponse, error) {
	lines := make([]line, 0, len(r.GetLines()))
	for _, l := range r.GetLines() {
		lines = append(lines, line{l.GetSku(), l.GetQuantity()})
	}
	lines, err := sum(lines)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	for {
		answer, err := s.reserveOnce(ctx, r, lines)
		if !errors.Is(err, errOverdue) {
			return answer, err
		}
		// Holds whose time is up do not count, also before their job has come: end them and try again.
		if err := s.expireOverdue(ctx, lines); err != nil {
			return nil, db.Unavailable(err)
		}
	}
}

func (s *service) reserveOnce(ctx context.Context, r *inventoryv1.ReserveRequest, lines []line) (answer *inventoryv1.ReserveResponse, err error) {
	ttl := defaultTTL
	if r.GetTtl() != nil {
		ttl = r.GetTtl().AsDuration()
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		answer, err = idempotency.Once(ctx, tx, r, func() (*inventoryv1.ReserveResponse, error) {
			reservation, err := s.reserve(ctx, tx, r.GetReference(), lines, ttl)
			return &inventoryv1.ReserveResponse{Reservation: reservation}, err
		})
		return err
	})
	return answer, err
}

// reserve sets the lines aside and owes itself a job that ends the hold.
func (s *service) reserve(ctx context.Context, tx tx, reference string, lines []line, ttl time.Duration) (*inventoryv1.Reservation, error) {
	stock, err := lockStock(ctx, tx, lines)
	if err != nil {
		return nil, err
	}
	free := map[string]int64{}
	for sku, row := range stock {
		free[sku] = row.free()
	}
	if _, short := shortage(lines, free); short {
		return nil, whyShort(ctx, tx, lines, free)
	}
	if err := changeReserved(ctx, tx, lines, +1); err != nil {
		return nil, err
	}
	var now time.Time // The database's: all replicas agree on it.
	if err := tx.QueryRow(ctx, "SELECT now()").Scan(&now); err != nil {
		return nil, err
	}
	row, err := tx.Ent.Reservation.Create().SetID(id.New("rsv")).SetReference(reference).SetState(string(held)).
		SetExpireTime(now.Add(ttl)).SetCreateTime(now).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("create reservation: %w", err)
	}
	creates := make([]*ent.ReservationLineCreate, 0, len(lines))
	for _, l := range lines {
		creates = append(creates, tx.Ent.ReservationLine.Create().SetReservationID(row.ID).SetSku(l.sku).SetQuantity(l.quantity))
	}
	if row.Edges.Lines, err = tx.Ent.ReservationLine.CreateBulk(creates...).Save(ctx); err != nil {
		return nil, fmt.Errorf("create reservation lines: %w", err)
	}
	if err := s.jobs.Insert(ctx, tx, expireHold{ReservationID: row.ID}, row.ExpireTime); err != nil {
		return nil, err
	}
	return message(row), nil
}

// whyShort says whether holds whose time is up are in the way of the lines, or whether there is less than they ask for. Nobody can end
// a hold meanwhile, because the stock is locked.
func whyShort(ctx context.Context, tx tx, lines []line, free map[string]int64) error {
	overdue, err := overdueBySKU(ctx, tx.Ent, skus(lines))
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

func (s *service) CommitReservation(ctx context.Context, r *inventoryv1.CommitReservationRequest) (answer *inventoryv1.CommitReservationResponse, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		answer, err = idempotency.Once(ctx, tx, r, func() (*inventoryv1.CommitReservationResponse, error) {
			reservation, err := commit(ctx, tx, r.GetId())
			return &inventoryv1.CommitReservationResponse{Reservation: reservation}, err
		})
		return err
	})
	return answer, err
}

// commit makes a hold permanent. A hold whose time is up is still there until its job has come, and may be committed.
func commit(ctx context.Context, tx tx, reservationID string) (*inventoryv1.Reservation, error) {
	row, err := lockReservation(ctx, tx, reservationID)
	if err != nil {
		return nil, err
	}
	if state(row.State) != committed {
		if err := setState(ctx, tx, row, committed); err != nil {
			return nil, err
		}
	}
	return message(row), nil
}

func (s *service) ReleaseReservation(ctx context.Context, r *inventoryv1.ReleaseReservationRequest) (answer *inventoryv1.ReleaseReservationResponse, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) (err error) {
		answer, err = idempotency.Once(ctx, tx, r, func() (*inventoryv1.ReleaseReservationResponse, error) {
			reservation, err := release(ctx, tx, r.GetId())
			return &inventoryv1.ReleaseReservationResponse{Reservation: reservation}, err
		})
		return err
	})
	return answer, err
}

// release gives the pieces back, unless they have been given back already.
func release(ctx context.Context, tx tx, reservationID string) (*inventoryv1.Reservation, error) {
	row, err := lockReservation(ctx, tx, reservationID)
	if err != nil {
		return nil, err
	}
	if s := state(row.State); s != released && s != expired {
		if err := setState(ctx, tx, row, released); err != nil {
			return nil, err
		}
	}
	return message(row), nil
}

func (s *service) GetReservation(ctx context.Context, r *inventoryv1.GetReservationRequest) (*inventoryv1.GetReservationResponse, error) {
	row, err := s.store.Ent.Reservation.Query().Where(reservation.ID(r.GetId())).WithLines().Only(ctx)
	if ent.IsNotFound(err) {
		return nil, rpc.NotFound("reservation", r.GetId())
	}
	if err != nil {
		return nil, db.Unavailable(err)
	}
	return &inventoryv1.GetReservationResponse{Reservation: message(row)}, nil
}

// message maps a reservation and its lines.
func message(row *ent.Reservation) *inventoryv1.Reservation {
	m := &inventoryv1.Reservation{
		Id: row.ID, Reference: row.Reference, State: messageStates[state(row.State)], ExpireTime: timestamppb.New(row.ExpireTime),
	}
	for _, l := range linesOf(row) {
		m.Lines = append(m.Lines, &inventoryv1.Line{Sku: l.sku, Quantity: l.quantity})
	}
	return m
}
