package inventory

import (
	"fmt"
	"testing"
	"time"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// Nobody has to ask for it.
func TestHoldEndsWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	b := start(t, Module)
	b.receive(t, line{"a", 5})
	id := b.hold(t, line{"a", 2})
	b.letPass(t, id)
	moduletest.Eventually(t, "the overdue hold has expired", func() bool {
		return b.stateOf(t, id) == inventoryv1.ReservationState_RESERVATION_STATE_EXPIRED
	})
	b.consistent(t)
}

func TestSweepEndsOverdueHoldsAndNothingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 10}, line{"b", 10})
	overdue, other, kept := b.hold(t, line{"a", 2}), b.hold(t, line{"b", 1}, line{"a", 1}), b.hold(t, line{"a", 1})
	must(t, b.commit(kept))
	b.letPass(t)
	young := b.hold(t, line{"a", 3})
	must(t, b.service.expireHolds(b.ctx))
	for id, want := range map[string]state{overdue: expired, other: expired, kept: committed, young: held} {
		if got := b.stateOf(t, id); got != messageStates[want] {
			t.Errorf("a reservation is %s, want %s", got, want)
		}
	}
	b.available(t, "a", 6)
	b.available(t, "b", 10)
	b.consistent(t)
}

// One sweep ends as many as there are, in batches.
func TestSweepEndsManyHolds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const count = 2*maxOverdue + 20
	b.receive(t, line{"a", count})
	b.Exec(t, fmt.Sprint("UPDATE inventory.stock SET reserved = ", count))
	b.Exec(t, fmt.Sprint(`INSERT INTO inventory.reservation (id, reference, state, expire_time)
		SELECT 'rsv_' || n, 'ord_1', 'held', now() - interval '1 second' FROM generate_series(1, `, count, `) AS n`))
	b.Exec(t, "INSERT INTO inventory.reservation_line (reservation_id, sku, quantity) SELECT id, 'a', 1 FROM inventory.reservation")
	must(t, b.service.expireHolds(b.ctx))
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM inventory.reservation WHERE state = 'held'"); n > 0 {
		t.Errorf("%d holds are left", n)
	}
	b.consistent(t)
}

// A hold that somebody is at is left alone, and keeps nobody waiting.
func TestSweepWaitsForNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 5})
	busy, idle := b.hold(t, line{"a", 2}), b.hold(t, line{"a", 1})
	b.letPass(t)
	tx, err := b.service.store.Pool().Begin(b.ctx)
	must(t, err)
	defer tx.Rollback(b.ctx)
	_, err = tx.Exec(b.ctx, "SELECT FROM reservation WHERE id = $1 FOR UPDATE", busy)
	must(t, err)
	must(t, b.service.expireHolds(b.ctx))
	for id, want := range map[string]state{busy: held, idle: expired} {
		if got := b.stateOf(t, id); got != messageStates[want] {
			t.Errorf("a hold is %s, want %s", got, want)
		}
	}
	must(t, tx.Rollback(b.ctx))
	must(t, b.service.expireHolds(b.ctx))
	if got := b.stateOf(t, busy); got != messageStates[expired] {
		t.Errorf("a hold that nobody is at any more is %s", got)
	}
	b.consistent(t)
}

func TestHoldIsExtendedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 3})
	expiry := func(id string) time.Duration {
		return moduletest.Value[time.Duration](t, b.House, "SELECT expire_time - now() FROM inventory.reservation WHERE id = $1", id)
	}
	id := b.hold(t, line{"a", 1}) // For an hour.
	must(t, b.extend(id, 2*time.Hour))
	if left := expiry(id); left > 2*time.Hour || left < 119*time.Minute {
		t.Errorf("it lasts for %v, want 2h", left)
	}
	refused(t, b.extend(id, 3*time.Hour), "ALREADY_EXTENDED")

	other := b.hold(t, line{"a", 1})
	must(t, b.extend(other, time.Second)) // Nothing gets shorter.
	if left := expiry(other); left < 59*time.Minute {
		t.Errorf("it lasts for %v, want an hour", left)
	}

	overdue := b.hold(t, line{"a", 1})
	b.letPass(t, overdue)
	b.available(t, "a", 1)
	must(t, b.extend(overdue, time.Hour))
	b.available(t, "a", 0)
	must(t, b.service.expireHolds(b.ctx))
	if s := b.stateOf(t, overdue); s != inventoryv1.ReservationState_RESERVATION_STATE_HELD {
		t.Errorf("an extended hold is %s", s)
	}

	must(t, b.commit(id))
	refused(t, b.extend(id, time.Hour), "RESERVATION_STATE_COMMITTED")
	b.consistent(t)
}
