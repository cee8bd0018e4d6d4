package kill

import (
	"context"
	"regexp"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// mistake is one that the product can be made to make, and the rule of cleave verify that tells. That the same run without it breaks no
// rule is held by the other tests, which do the same; of the late commit, by the tests of platform/event.
type mistake struct {
	bug    string
	layout house.Layout
	do     func(ctx context.Context, t *testing.T, s *shop)
	rule   string // An expression.
}

var mistakes = []mistake{
	{"event-ignore-xmin", house.AllInOne, lateCommit, `event\.applied`},
	// The inbox stays empty, and that is what is found; that the event was applied twice is not, see the doc of the package.
	{"event-skip-inbox", house.AllInOne, func(ctx context.Context, t *testing.T, s *shop) {
		s.kill(t, at(bought, "event/deliver/applied")[0])
	}, `event\.applied`},
	{"fresh-provider-key", house.AllInOne, func(ctx context.Context, t *testing.T, s *shop) {
		s.kill(t, at(bought, "payments/authorize/answered")[0])
	}, `charge\.payment`},
	{"hold-not-released", house.AllInOne, func(ctx context.Context, t *testing.T, s *shop) {
		if _, err := s.enter(ctx, t, declined).toEnd(ctx); err != nil {
			t.Error(err)
		}
	}, `stock\.reserved`},
	{"saga-no-fence", house.Twice, func(ctx context.Context, t *testing.T, s *shop) {
		// The late write puts the saga back to where its process believes it to be.
		s.pause(ctx, t, at(bought, "checkout/commit/done")[0])
	}, `saga\.(open|stuck)`},
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
			broken := regexp.MustCompile(`(?m)^` + m.rule + ` +\d+ +[1-9]`).MatchString(says)
			if code != 1 || !broken {
				t.Errorf("cleave verify ended with %d and has to tell of %s:\n%s", code, m.rule, says)
			}
		})
	}
}

// lateCommit lets an order be confirmed by a transaction that began before that of another order and commits after it, when the other has been
// told of already. Without the mistake it has not.
func lateCommit(ctx context.Context, t *testing.T, s *shop) {
	late, other := s.enter(ctx, t, bought), s.enter(ctx, t, bought)
	// When its payment is captured, and before that is written down, the order is locked: so its transaction begins and cannot end.
	if err := s.folder.Arm("checkout/capture/done", "pause"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- late.play(ctx) }()
	s.until(ctx, t, "the payment is captured", func() bool { return !s.folder.Armed("checkout/capture/done") })
	db, err := pgx.Connect(ctx, s.Databases["orders"])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(ctx))
	tx, err := db.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `SELECT FROM orders."order" FOR UPDATE`); err != nil { // There is no other.
		t.Fatal(err)
	}
	s.until(ctx, t, "the transaction waits for the lock", func() bool {
		s.Unit("all").Process().Signal(syscall.SIGCONT)                            // It may stop a moment later than it says.
		if _, err := db.Exec(ctx, "SELECT pg_stat_clear_snapshot()"); err != nil { // A transaction looks once.
			return false
		}
		waits, err := db.Exec(ctx, "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
		return err == nil && waits.RowsAffected() > 0
	})
	if _, err := other.toEnd(ctx); err != nil {
		t.Fatal(err)
	}
	s.untilRows(ctx, t, true, "SELECT FROM notifications.message")
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
