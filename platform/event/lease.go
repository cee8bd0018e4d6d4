package event

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A lease is taken for a burst of events and not for longer, so that the replica in which the next event is published can deliver it.
const (
	leaseTime = 6 * time.Second
	// leaseRenewal is when a lease is renewed during a delivery that takes its time.
	leaseRenewal = 2 * time.Second
)

// statementTimeout bounds a statement of a delivery.
const statementTimeout = 10 * time.Second

// quickly lets a statement on the subscription commit without waiting for the disk. What PostgreSQL may lose of them in a crash of its
// own only makes a batch be delivered again, which the inbox makes harmless. Events that were refused are no such thing: the worker is
// past them, and nobody else knows of them.
const quickly = "(SELECT set_config('synchronous_commit', 'off', true)) AS quickly"

// free gives a lease back. Without an owner, a renewal that is still under way does not take it again.
const free = "lease_owner = NULL, lease_until = NULL"

// errLost says that another process delivers to the subscriber, or that the subscription is gone.
var errLost = errors.New("the lease was lost")

// lease is the right to deliver to a subscriber. Who has it may move the cursor.
type lease struct {
	events       *Events
	subscription int64
	fence        int64
}

// acquire takes the lease and returns it with the cursor, or nil if another process has it.
func (e *Events) acquire(ctx context.Context, subscription int64) (*lease, cursor, error) {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	l, at := &lease{events: e, subscription: subscription}, cursor{}
	err := e.db.Pool().QueryRow(ctx, `UPDATE cleave_subscriber
		SET lease_owner = $2, lease_until = now() + $3::interval, fence = fence + 1 FROM `+quickly+`
		WHERE id = $1 AND (lease_until IS NULL OR lease_until < now()) RETURNING fence, era, transaction, position`,
		subscription, e.owner, leaseTime).Scan(&l.fence, &at.era, &at.transaction, &at.position)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, at, nil
	}
	if err != nil {
		return nil, at, fmt.Errorf("take the lease: %w", err)
	}
	return l, at, nil
}

// renew keeps the lease for another while.
func (l *lease) renew(ctx context.Context) error {
	return l.set(ctx, nil, "lease_until = now() + $4::interval", leaseTime)
}

// advance moves the cursor and releases the lease, or renews it. The failures among the events that it passes become jobs in the same
// transaction.
func (l *lease) advance(ctx context.Context, to cursor, release bool, failures []redelivery) error {
	keep := "lease_until = now() + $7::interval"
	args := []any{to.era, to.transaction, to.position, leaseTime}
	if release {
		keep, args = free, args[:3]
	}
	change := "era = $4, transaction = $5, position = $6, error = NULL, error_time = NULL, update_time = now(), " + keep
	if len(failures) == 0 {
		return l.set(ctx, nil, change, args...)
	}
	return l.events.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := l.events.insert(ctx, tx, failures); err != nil {
			return err
		}
		return l.set(ctx, tx, change, args...)
	})
}

// fail releases the lease, and notes why nothing can be delivered if there is a reason.
func (l *lease) fail(ctx context.Context, why error) error {
	if why == nil {
		return l.set(ctx, nil, free)
	}
	return l.set(ctx, nil, free+", error = $4, error_time = coalesce(error_time, now())", shorten(why.Error()))
}

// set changes the subscription if the lease is still held, and fails with errLost otherwise.
func (l *lease) set(ctx context.Context, tx pgx.Tx, change string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	exec, from := l.events.db.Pool().Exec, " FROM "+quickly
	if tx != nil {
		exec, from = tx.Exec, ""
	}
	tag, err := exec(ctx, "UPDATE cleave_subscriber SET "+change+from+" WHERE id = $1 AND fence = $2 AND lease_owner = $3", append([]any{l.subscription, l.fence, l.events.owner}, args...)...)
	if err != nil {
		return fmt.Errorf("move the cursor: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return errLost
	}
	return nil
}
