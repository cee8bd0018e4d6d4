package inventory

import (
	"context"
	"fmt"

	"github.com/cleave-go/cleave/modules/inventory/internal/ent/reservation"
	"github.com/cleave-go/cleave/modules/inventory/internal/ent/reservationline"
)

// expireHold ends a hold when its time is up.
type expireHold struct {
	ReservationID string `json:"reservation_id"`
}

func (expireHold) Kind() string { return "inventory.expire_hold" }

func (s *service) expireHold(ctx context.Context, job expireHold) error {
	early, err := s.store.Ent.Reservation.Query().
		Where(reservation.ID(job.ReservationID), reservation.State(string(held)), reservation.Not(overdueHold)).Exist(ctx)
	if err != nil {
		return err
	}
	if early { // River's clock is ahead of the database's.
		return fmt.Errorf("the time of %s is not up yet", job.ReservationID)
	}
	return s.expire(ctx, job.ReservationID)
}

// expire ends a hold if its time is up by the database's clock.
func (s *service) expire(ctx context.Context, reservationID string) error {
	return s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		row, err := lockReservation(ctx, tx, reservationID)
		if err != nil {
			return err
		}
		overdue, err := tx.Ent.Reservation.Query().Where(reservation.ID(reservationID), overdueHold).Exist(ctx)
		if err != nil || !overdue {
			return err
		}
		return setState(ctx, tx, row, expired)
	})
}

// maxOverdue bounds how many overdue holds are loaded at once.
const maxOverdue = 100

// expireOverdue ends holds on the lines whose time is up.
func (s *service) expireOverdue(ctx context.Context, lines []line) error {
	ids, err := s.store.Ent.Reservation.Query().
		Where(overdueHold, reservation.HasLinesWith(reservationline.SkuIn(skus(lines)...))).
		Order(reservation.ByExpireTime()).Limit(maxOverdue).IDs(ctx)
	if err != nil {
		return fmt.Errorf("find overdue holds: %w", err)
	}
	for _, reservationID := range ids {
		if err := s.expire(ctx, reservationID); err != nil {
			return err
		}
	}
	return nil
}
