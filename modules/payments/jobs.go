package payments

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/modules/payments/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
)

const (
	// sweepEvery is how often a replica looks for attempts that are due.
	sweepEvery = time.Second
	// maxAsked is how many attempts a sweep asks for at once. A provider that does not answer meets no more of them at once from a replica,
	// and [maxRepeated] that callers repeat; beyond that only what is asked for the first time.
	maxAsked = 8
	// maxRounds bounds a run of the sweep. The next one goes on.
	maxRounds = 50
)

// sweep sees attempts through whose method was killed or got no answer. It goes on while the provider answers.
func (s *service) sweep(ctx context.Context) error {
	for range maxRounds {
		due, err := s.takeDue(ctx)
		if err != nil {
			return err
		}
		var known atomic.Int64
		var asking sync.WaitGroup
		for _, attemptID := range due {
			asking.Go(func() {
				if s.resolve(ctx, attemptID) {
					known.Add(1)
				}
			})
		}
		asking.Wait()
		if known.Load() == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// takeDue returns attempts that are due, and says when they are due again. Until then nobody else takes them: asking is over by then.
//
// The older an attempt, the longer the pause: a fortieth of its age, from 8 to 20 seconds, give or take a quarter; it is 20 from the
// fourteenth minute on. So however long the provider was down, what is unknown is asked for within half a minute after it has come back.
// What it meets while it is down does not depend on the pause: each replica asks for at most [maxAsked] attempts at once, and begins so
// many a second at most.
func (s *service) takeDue(ctx context.Context) ([]string, error) {
	rows, err := s.store.Pool().Query(ctx, `UPDATE attempt SET next_time = now() + (0.75 + random() / 2) *
			least(greatest((now() - create_time) / 40, interval '8 seconds'), interval '20 seconds')
		WHERE id IN (SELECT id FROM attempt WHERE next_time <= now() ORDER BY next_time LIMIT $1 FOR UPDATE SKIP LOCKED)
		RETURNING id`, maxAsked)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("take attempts that are due: %w", err))
	}
	due, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return due, db.Unavailable(err)
}

// resolve repeats the call of the provider under the same key, and reports whether the outcome is known.
func (s *service) resolve(ctx context.Context, attemptID string) bool {
	row, err := s.again(ctx, attemptID)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelError, "an attempt cannot be resolved", slog.String("attempt", attemptID), slog.String("error", err.Error()))
		return false
	}
	settled := attemptOf(row, attemptID)
	return settled == nil || !outcome(settled.Outcome).open() // It was settled before if nobody had to look.
}

func (s *service) again(ctx context.Context, attemptID string) (*ent.Payment, error) {
	a, err := s.load(ctx, attemptID)
	if err != nil {
		return nil, err
	}
	return s.finish(ctx, a)
}
