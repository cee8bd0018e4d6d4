package inventory

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

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
	b.receive(t, line{"a", 10})
	if sold := b.buy(t, 100); sold != 10 {
		t.Errorf("%d pieces of 10 were sold", sold)
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
				end := b.release
				if random.IntN(2) == 0 {
					end = b.commit
				}
				if err := end(reservation.GetId()); err != nil {
					t.Errorf("end: %v", err)
				}
			}
		})
	}
	waiting.Wait()
	b.consistent(t)
	// A connection reports what it has met at the latest when it is closed.
	b.Exec(t, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'cleave_inventory' AND datname = current_database()")
	if n := moduletest.Value[int64](t, b.House, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"); n > 0 {
		t.Errorf("there were %d deadlocks", n)
	}
}
