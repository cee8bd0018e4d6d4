package inventory

import (
	"context"
	"slices"

	"connectrpc.com/connect"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/fault"
	"github.com/cleave-go/cleave/platform/idempotency"
	"github.com/cleave-go/cleave/platform/rpc"
)

// What becomes of a reservation.

func (s *service) CommitReservation(ctx context.Context, r *inventoryv1.CommitReservationRequest) (answer *inventoryv1.CommitReservationResponse, err error) {
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*inventoryv1.CommitReservationResponse, error) {
		if db.FirstTry(ctx) {
			return &inventoryv1.CommitReservationResponse{Reservation: commitHold(tx, r.GetId())}, nil
		}
		// A hold whose time is up is there as long as nobody has ended it, and may be committed: whoever ends it and whoever
		// commits it both lock its row, and the second finds what the first has made of it.
		row, _, err := move(ctx, tx, r.GetId(), committed)
		return &inventoryv1.CommitReservationResponse{Reservation: message(row)}, err
	})
	if err == nil {
		fault.Point("inventory/commit/committed")
		err = s.complete(ctx, answer.GetReservation())
	}
	return answer, err
}

// complete fills in what an answer does not say that was kept before it was known. None of it changes once a reservation is committed.
func (s *service) complete(ctx context.Context, kept *inventoryv1.Reservation) error {
	if kept.GetExpireTime() != nil {
		return nil
	}
	row, err := loadReservation(ctx, s.store.Pool(), kept.GetId(), "")
	if err != nil {
		return db.Unavailable(err)
	}
	fill(kept, row)
	return nil
}

func (s *service) ReleaseReservation(ctx context.Context, r *inventoryv1.ReleaseReservationRequest) (answer *inventoryv1.ReleaseReservationResponse, err error) {
	lines, err := linesOf(r.GetLines())
	if err != nil {
		return nil, err
	}
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*inventoryv1.ReleaseReservationResponse, error) {
		reservationID := r.GetId()
		if request := r.GetReserveRequestId(); request != "" {
			kept, done, err := idempotency.Revoke[inventoryv1.ReserveResponse](ctx, tx, reserveMethod, request)
			if err != nil || !done {
				return &inventoryv1.ReleaseReservationResponse{}, err
			}
			reservationID = kept.GetReservation().GetId()
		}
		if len(lines) > 0 {
			row, done, err := perform(ctx, tx, reservationID, withdraw, lines)
			if err == nil {
				changeStock(tx, done, change{reserved: -1})
			}
			return &inventoryv1.ReleaseReservationResponse{Reservation: message(row)}, err
		}
		row, err := release(ctx, tx, reservationID)
		return &inventoryv1.ReleaseReservationResponse{Reservation: message(row)}, err
	})
	if err == nil {
		fault.Point("inventory/release/committed")
	}
	return answer, err
}

// reserveMethod is what a release can undo.
var reserveMethod = inventoryv1cleave.InventoryService.Methods[slices.IndexFunc(inventoryv1cleave.InventoryService.Methods, func(m *rpc.Method) bool {
	return m.Procedure == inventoryv1connect.InventoryServiceReserveProcedure
})]

// release gives the pieces back, unless they have been given back already.
func release(ctx context.Context, tx tx, reservationID string) (*row, error) {
	row, moved, err := move(ctx, tx, reservationID, released)
	if err != nil || !moved || fault.Bug("hold-not-released") {
		return row, err
	}
	changeStock(tx, row.lines, change{reserved: -1})
	return row, nil
}

func (s *service) ExtendReservation(ctx context.Context, r *inventoryv1.ExtendReservationRequest) (*inventoryv1.ExtendReservationResponse, error) {
	return idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*inventoryv1.ExtendReservationResponse, error) {
		row, err := extend(ctx, tx, r.GetId(), r.GetTtl().AsDuration())
		return &inventoryv1.ExtendReservationResponse{Reservation: message(row)}, err
	})
}

func (s *service) ShipReservation(ctx context.Context, r *inventoryv1.ShipReservationRequest) (answer *inventoryv1.ShipReservationResponse, err error) {
	lines, err := linesOf(r.GetLines())
	if err != nil {
		return nil, err
	}
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*inventoryv1.ShipReservationResponse, error) {
		row, done, err := perform(ctx, tx, r.GetId(), ship, lines)
		if err == nil && len(done) > 0 {
			err = moveStock(ctx, tx, done, change{onHand: -1, reserved: -1}, movementsOf(tx, row, done, -1, "shipped"))
		}
		return &inventoryv1.ShipReservationResponse{Reservation: message(row)}, err
	})
	if err == nil {
		fault.Point("inventory/ship/committed")
	}
	return answer, err
}

func (s *service) ReturnReservation(ctx context.Context, r *inventoryv1.ReturnReservationRequest) (answer *inventoryv1.ReturnReservationResponse, err error) {
	lines, err := linesOf(r.GetLines())
	if err != nil {
		return nil, err
	}
	answer, err = idempotency.Tx(ctx, s.store, r, func(ctx context.Context, tx tx) (*inventoryv1.ReturnReservationResponse, error) {
		row, done, err := perform(ctx, tx, r.GetId(), takeBack, lines)
		if err == nil && len(done) > 0 && !r.GetDiscard() {
			err = moveStock(ctx, tx, done, change{onHand: +1}, movementsOf(tx, row, done, +1, "returned"))
		}
		return &inventoryv1.ReturnReservationResponse{Reservation: message(row)}, err
	})
	if err == nil {
		fault.Point("inventory/return/committed")
	}
	return answer, err
}

// linesOf adds up the lines of a request. No lines are none.
func linesOf(messages []*inventoryv1.Line) ([]line, error) {
	lines := make([]line, 0, len(messages))
	for _, l := range messages {
		lines = append(lines, line{l.GetSku(), l.GetQuantity()})
	}
	lines, err := sum(lines)
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	return lines, nil
}

// movementsOf returns the movements of pieces of a reservation.
func movementsOf(tx tx, row *row, lines []line, sign int64, reason string) []*ent.MovementCreate {
	movements := make([]*ent.MovementCreate, 0, len(lines))
	for _, l := range lines {
		movements = append(movements, tx.Ent.Movement.Create().SetSku(l.sku).SetDelta(sign*l.quantity).SetReason(reason).SetReservationID(row.id))
	}
	return movements
}

// errState says that the state of a reservation forbids what was asked for. The reason is the name of the state in the contract.
func errState(row *row, what string) error {
	return rpc.Errorf(connect.CodeFailedPrecondition, messageStates[row.state].String(), "reservation %s is %s and cannot %s", row.id, row.state, what)
}
