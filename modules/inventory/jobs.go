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
	if early { // River's clock is ahead of the database's, or the hold was extended.
		return fmt.Errorf("the time of %s is not up yet", job.ReservationID)
	}
	_, err = s.expire(ctx, job.ReservationID)
	return err
}

// expire ends a hold if its time is up by the database's clock, and reports whether it did.
func (s *service) expire(ctx context.Context, reservationID string) (ended bool, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		ended = false
		row, err := lockReservation(ctx, tx, reservationID)
		if err != nil {
			return err
		}
		overdue, err := tx.Ent.Reservation.Query().Where(reservation.ID(reservationID), overdueHold).Exist(ctx)
		if err != nil || !overdue {
			return err
		}
		ended = true
		return setState(ctx, tx, row, expired)
	})
	return ended, err
}

// maxOverdue bounds how many overdue holds one call ends; their jobs end the rest.
const maxOverdue = 100

// expireOverdue ends holds on the lines whose time is up, and returns how many.
func (s *service) expireOverdue(ctx context.Context, lines []line) (int, error) {
	ids, err := s.store.Ent.Reservation.Query().
		Where(overdueHold, reservation.HasLinesWith(reservationline.SkuIn(skus(lines)...))).
		Order(reservation.ByExpireTime()).Limit(maxOverdue).IDs(ctx)
	if err != nil {
		return 0, fmt.Errorf("find overdue holds: %w", err)
	}
	count := 0
	for _, reservationID := range ids {
		ended, err := s.expire(ctx, reservationID)
		if err != nil {
			return count, err
		}
		if ended {
			count++
		}
	}
	return count, nil
}
