package identity

import (
	"context"
	"fmt"
	"time"
)

const (
	purgeEvery = 10 * time.Minute
	// purgeBatch is how many rows one statement removes. The next run goes on.
	purgeBatch = 10_000
	// remember is for how long what is over is kept after it has expired, so that somebody who shows it again is recognised.
	remember = 24 * time.Hour
	// invitedLife is for how long an address is kept that nobody has confirmed.
	invitedLife = 7 * 24 * time.Hour
)

// purge removes what is over: sessions, families, codes and tokens that have expired, and attempts that count no more.
func (s *service) purge(ctx context.Context) error {
	for _, table := range []string{"code", "refresh_token", "session", "family", "mail", "link"} {
		if _, err := s.store.Pool().Exec(ctx, "DELETE FROM "+table+" WHERE id IN (SELECT id FROM "+table+" WHERE expire_time < now() - $1::interval LIMIT $2)", remember, purgeBatch); err != nil {
			return fmt.Errorf("remove what has expired of %s: %w", table, err)
		}
	}
	if _, err := s.store.Pool().Exec(ctx, "DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE since < now() - $1::interval LIMIT $2)", attemptWindow, purgeBatch); err != nil {
		return fmt.Errorf("remove old attempts: %w", err)
	}
	// Somebody has typed an address that nobody confirms.
	if _, err := s.store.Pool().Exec(ctx, "DELETE FROM account WHERE id IN (SELECT id FROM account WHERE state = $1 AND create_time < now() - $2::interval LIMIT $3)", string(invited), invitedLife, purgeBatch); err != nil {
		return fmt.Errorf("remove accounts that nobody has confirmed: %w", err)
	}
	return nil
}
