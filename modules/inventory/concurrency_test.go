package inventory

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// buy lets buyers come at once, each for one piece of a, and returns how many got one.
func (b *bundle) buy(t *testing.T, buyers int) int64 {
	t.Helper()
	var sold atomic.Int64
	var waiting sync.WaitGroup
	for range buyers {
		waiting.Go(func() {
			_, err := b.reserve(line{"a", 1})
			switch {
			case err == nil:
				sold.Add(1)
			case rpc.Reason(err) != "OUT_OF_STOCK":
				t.Errorf("a buyer: %v", err)
			}
		})
	}
	waiting.Wait()
	return sold.Load()
}

func TestEveryPieceIsSoldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 50})
	if sold := b.buy(t, 500); sold != 50 {
		t.Errorf("%d pieces of 50 were sold", sold)
	}
	b.available(t, "a", 0)
	b.consistent(t)
}

// Buyers who end overdue holds side by side must not take each other's work for a sold-out shelf.
func TestEveryPieceInOverdueHoldsIsSoldOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 5 {
		b.receive(t, line{"a", 10})
		b.hold(t, line{"a", 7})
		b.hold(t, line{"a", 1})
		b.hold(t, line{"a", 2})
		b.letPass(t)
		if sold := b.buy(t, 10); sold != 10 {
			t.Fatalf("%d of 10 buyers of 10 pieces got one", sold)
		}
		if sold := b.buy(t, 10); sold != 0 {
			t.Fatalf("%d pieces were sold twice", sold)
		}
		b.Exec(t, "UPDATE inventory.reservation SET state = 'committed' WHERE state = 'held'")
	}
	b.consistent(t)
}

// Who commits a hold whose time is up and who wants its pieces meet: one of the two gets them.
func TestCommitAndReserveMeetAtAnOverdueHold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.receive(t, line{"a", 1})
	for range 20 {
		id := b.hold(t, line{"a", 1})
		b.letPass(t, id)
		var other *inventoryv1.Reservation
		var commitErr, reserveErr, sweepErr error
		var waiting sync.WaitGroup
		waiting.Go(func() { commitErr = b.commit(id) })
		waiting.Go(func() { other, reserveErr = b.reserve(line{"a", 1}) })
		waiting.Go(func() { sweepErr = b.service.expireHolds(b.ctx) })
		waiting.Wait()
		must(t, sweepErr)
		b.consistent(t)
		switch {
		case commitErr == nil:
			refused(t, reserveErr, "OUT_OF_STOCK")
			must(t, b.release(id))
		default:
			refused(t, commitErr, "RESERVATION_STATE_EXPIRED")
			must(t, reserveErr)
			must(t, b.release(other.GetId()))
		}
	}
}

// Locks are taken in one order, whatever the order of the lines: nobody waits in a circle, which PostgreSQL would end by giving up one.
func TestCrossedLinesDoNotDeadlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	skus := []string{"a", "b", "c", "d", "e"}
	b.receive(t, line{"a", 1000}, line{"b", 1000}, line{"c", 1000})
	var waiting sync.WaitGroup
	for worker := range 8 {
		waiting.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 15 {
				var lines []line
				for _, i := range random.Perm(len(skus)) {
					lines = append(lines, line{skus[i], 1})
				}
				if random.IntN(3) == 0 {
					if err := b.adjust(lines...); err != nil { // Also makes the rows of d and e.
						t.Errorf("adjust: %v", err)
					}
					continue
				}
				reservation, err := b.reserve(lines...)
				if rpc.Reason(err) == "OUT_OF_STOCK" {
					continue
				}
				if err != nil {
					t.Errorf("reserve: %v", err)
					continue
				}
				ends := [][]func(string) error{{b.release}, {b.commit}, {b.commit, b.release}, {b.commit, b.ship, b.giveBack}}
				for _, end := range ends[random.IntN(len(ends))] {
					if err := end(reservation.GetId()); err != nil {
						t.Errorf("end: %v", err)
					}
				}
			}
		})
	}
	done := make(chan struct{})
	var sweeping sync.WaitGroup
	sweeping.Go(func() { // Every hold may be overdue, and nobody waits for the sweep.
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := b.service.expireHolds(b.ctx); err != nil {
				t.Errorf("sweep: %v", err)
				return
			}
		}
	})
	waiting.Wait()
	close(done)
	sweeping.Wait()
	b.consistent(t)
	// A connection reports what it has met at the latest when it is closed.
	b.Exec(t, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'cleave_inventory' AND datname = current_database()")
	if n := moduletest.Value[int64](t, b.House, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); n > 0 {
		t.Errorf("there were %d deadlocks", n)
	}
}
