package kill

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// zombies are places at which a process stands still until another one has seen its order through. When it goes on it knows nothing of
// that. They are spread over two houses.
var zombies = [][]place{
	slices.Concat(at(bought, "checkout/commit/done", "checkout/capture/done"), at(declined, "checkout/reserve/undo-done")),
	slices.Concat(at(bought, "payments/authorize/stored", "payments/capture/answered"), at(returned, "payments/refund/stored")),
}

// paused has processes stand still in houses that have two of each.
func paused(t *testing.T, binaries *topology.Binaries) {
	t.Parallel()
	for i, places := range zombies {
		t.Run(fmt.Sprint("house ", i+1), func(t *testing.T) {
			t.Parallel()
			s := open(t, house.Twice, binaries, "")
			for _, p := range places {
				t.Run(p.name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					v := s.pause(ctx, t, p)
					// What the process knows by then is that its write was refused.
					s.Unit("all").Process().Expect(t, `"msg":"saga is left to whoever comes upon it","module":"orders","saga":"`+v.orderID+`"`)
					order, err := v.Await(ctx, v.orderID, p.course.ends)
					if err == nil {
						err = v.check(ctx, order)
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			s.verify(t)
		})
	}
}

// pause has the process stand still that gets to the place, until the other one has seen the order through that brought it there.
func (s *shop) pause(ctx context.Context, t *testing.T, p place) *visit {
	t.Helper()
	v := s.enter(ctx, t, p.course)
	if err := s.folder.Arm(p.name, "pause"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := v.toEnd(ctx)
		ended <- err
	}()
	s.until(ctx, t, "a process got to "+p.name, func() bool { return !s.folder.Armed(p.name) })
	s.untilRows(ctx, t, false, "SELECT FROM orders.cleave_saga WHERE phase NOT IN ('done', 'undone')")
	s.Unit("all").Process().Signal(syscall.SIGCONT)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return v
}

// untilRows waits until a query of the database finds rows, or none.
func (s *shop) untilRows(ctx context.Context, t *testing.T, some bool, query string) {
	t.Helper()
	db, err := pgx.Connect(ctx, s.Databases["orders"])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(ctx))
	s.until(ctx, t, fmt.Sprintf("rows are there (%v) by %s", some, query), func() bool {
		tag, err := db.Exec(ctx, query)
		return err == nil && (tag.RowsAffected() > 0) == some
	})
}

// until waits until something is so.
func (s *shop) until(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never came about that %s", what)
		}
	}
}
