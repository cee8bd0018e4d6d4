package saga_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	sagav1 "github.com/cleave-go/cleave/gen/cleave/platform/saga/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/saga"
)

// A module that can never write what a step means to it, there or back, leaves its sagas to a person, who sees why and gets them on when
// the module is mended.
func TestBoundaryThatAlwaysFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(tx pgx.Tx) error{
		"error": func(pgx.Tx) error { return fmt.Errorf("broken\x00 %s", strings.Repeat("long ", 1000)) },
		"panic": func(pgx.Tx) error { panic("broken") },
		"late": func(tx pgx.Tx) error { // The commit fails.
			db.Defer(tx, "INSERT INTO broken VALUES (1)")
			return nil
		},
	} {
		for _, undo := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " undo ", undo), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				var mended atomic.Bool
				b.when("trip", func(m moment) error {
					if undo && m.step == "tour" && !m.undo {
						return saga.Refuse("NO_SEAT")
					}
					return nil
				})
				b.hook = func(tx pgx.Tx, c saga.Change[trip]) error {
					if c.Step == "hotel" && (c.What == saga.Undid) == undo && !mended.Load() {
						return fail(tx)
					}
					return nil
				}
				p := b.process()
				b.start(p, "trip")
				for n := 1; n <= saga.MaxUnwritten; n++ {
					moduletest.Eventually(t, "it is written down that the boundary fails", func() bool {
						return moduletest.Value[bool](t, b.House, "SELECT unwritten = $1 FROM trips.cleave_saga", n)
					})
					b.expire(p, "trip")
				}
				stuck, err := p.Operator().ListSagas(t.Context(), &sagav1.ListSagasRequest{States: []sagav1.State{sagav1.State_STATE_STUCK}})
				if err != nil || len(stuck.GetSagas()) != 1 {
					t.Fatalf("stuck are %v, %v", stuck, err)
				}
				if s := stuck.GetSagas()[0]; s.GetStep() != "hotel" || s.GetBack() != undo || !strings.Contains(s.GetLast().GetNote(), "boundary fails") || !strings.Contains(s.GetLast().GetNote(), "broken") {
					t.Errorf("an operator sees %v", s)
				}
				mended.Store(true)
				if err := p.Resume(moduletest.As(t, ""), "trip", "mended"); err != nil {
					t.Fatal(err)
				}
				b.wait()
				b.Exec(t, "DELETE FROM trips.cleave_saga_step WHERE note LIKE '%boundary fails%'") // Of those the module could not be told.
				b.ends("trip", map[bool]string{false: "done", true: "undone"}[undo])
				if !moduletest.Value[bool](t, b.House, "SELECT unwritten = 0 FROM trips.cleave_saga") {
					t.Error("the next time it gets stuck sooner")
				}
			})
		}
	}
}

// A boundary is committed, but its driver does not hear of it: it finds it written and goes on, and nothing is written twice.
func TestLostReplyOfABoundary(t *testing.T) {
	t.Parallel()
	for _, undo := range []bool{false, true} {
		for _, step := range steps {
			t.Run(fmt.Sprint(step, " undo ", undo), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.when("trip", func(m moment) error {
					if undo && m.step == "tour" && !m.undo {
						return saga.Refuse("NO_SEAT")
					}
					return nil
				})
				lost := false
				b.hook = func(tx pgx.Tx, c saga.Change[trip]) error {
					if c.Step == step && (c.What == saga.Undid) == undo && c.What != saga.TurnedBack && !lost {
						lost = true
						if _, err := tx.Exec(t.Context(), "COMMIT"); err != nil {
							t.Error(err)
						}
						return errBroken
					}
					return nil
				}
				p := b.process()
				b.start(p, "trip")
				p.rest(t)
				b.ends("trip", map[bool]string{false: "done", true: "undone"}[undo])
				if !lost {
					t.Error("nothing was lost")
				}
			})
		}
	}
}
