package kill

import (
	"context"
	"regexp"
	"testing"

	"github.com/jackc/pgx/v5"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// mistake is one that the product can be made to make, and the rule of cleave verify that tells. That the same run without it breaks no
// rule is held by the other tests, which do the same; of the late commit, by the tests of platform/event.
type mistake struct {
	bug    string
	layout house.Layout
	do     func(ctx context.Context, t *testing.T, s *shop)
	rule   string
}

var mistakes = []mistake{
	{"event-ignore-xmin", house.AllInOne, lateCommit, "event.applied"},
	{"event-skip-inbox", house.AllInOne, func(ctx context.Context, t *testing.T, s *shop) {
		s.kill(t, at(bought, "event/deliver/applied")[0])
	}, "event.applied"},
	{"fresh-provider-key", house.AllInOne, func(ctx context.Context, t *testing.T, s *shop) {
		s.kill(t, at(bought, "payments/authorize/answered")[0])
	}, "charge.payment"},
	{"hold-not-released", house.AllInOne, func(ctx context.Context, t *testing.T, s *shop) {
		if _, err := s.enter(ctx, t, declined).toEnd(ctx); err != nil {
			t.Error(err)
		}
	}, "stock.reserved"},
	{"saga-no-fence", house.Twice, func(ctx context.Context, t *testing.T, s *shop) {
		// The late write puts the saga back to where its process believes it to be.
		s.pause(ctx, t, at(bought, "checkout/commit/done")[0])
	}, "saga.open"},
}

// mistaken has the house make each mistake.
func mistaken(t *testing.T, binaries *topology.Binaries) {
	t.Parallel()
	for _, m := range mistakes {
		t.Run(m.bug, func(t *testing.T) {
			t.Parallel()
			s := open(t, m.layout, binaries, m.bug)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			m.do(ctx, t, s)
			says, code := s.Verify(t, s.acknowledged()...)
			// In the table of rules a line holds the rule, how many rows it was asked of, and how many violate it.
			broken := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(m.rule) + ` +\d+ +[1-9]`).MatchString(says)
			if code != 1 || !broken {
				t.Errorf("cleave verify ended with %d and has to tell of %s:\n%s", code, m.rule, says)
			}
		})
	}
}

// lateCommit lets an order be confirmed by a transaction that began before that of another order and commits after it, when the other has been
// told of already. Without the mistake it has not.
func lateCommit(ctx context.Context, t *testing.T, s *shop) {
	late := s.enter(ctx, t, &course{paymentMethod: "pm_slow", ends: ordersv1.OrderState_ORDER_STATE_CONFIRMED})
	other := s.enter(ctx, t, bought)
	if err := late.place(ctx); err != nil {
		t.Fatal(err)
	}
	// While the provider takes its time to capture the payment, the order is locked: so its transaction begins and cannot end.
	if _, err := late.Await(ctx, late.orderID, ordersv1.OrderState_ORDER_STATE_PAYING); err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(ctx, s.Databases["orders"])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(ctx))
	tx, err := db.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `SELECT FROM orders."order" WHERE id = $1 FOR UPDATE`, late.orderID); err != nil {
		t.Fatal(err)
	}
	s.untilRows(ctx, t, true, "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND xact_start < now()")
	if _, err := other.toEnd(ctx); err != nil {
		t.Fatal(err)
	}
	s.untilRows(ctx, t, true, "SELECT FROM notifications.message")
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := late.Await(ctx, late.orderID, ordersv1.OrderState_ORDER_STATE_CONFIRMED); err != nil {
		t.Fatal(err)
	}
}
