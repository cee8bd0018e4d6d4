package identity

import (
	"context"
	"fmt"
	"time"
)

const (
	purgeEvery = 10 * time.Minute
	// purgeBatch is how many rows one statement removes, and maxBatches how many such statements follow each other. The next run goes on.
	purgeBatch = 10_000
	maxBatches = 100
	// remember is for how long what is over is kept after it has expired, so that somebody who shows it again is recognised.
	remember = 24 * time.Hour
	// invitedLife is for how long an address is kept that nobody has confirmed.
	invitedLife = 7 * 24 * time.Hour
)

// purge removes what is over: sessions, families, codes and tokens that have expired, and attempts that count no more.
func (s *service) purge(ctx context.Context) error {
	for _, table := range []string{"code", "refresh_token", "session", "family", "mail", "link", "device"} {
		if err := s.remove(ctx, "DELETE FROM "+table+" WHERE id IN (SELECT id FROM "+table+" WHERE expire_time < now() - $2::interval LIMIT $1)", remember); err != nil {
			return fmt.Errorf("remove what has expired of %s: %w", table, err)
		}
	}
	if err := s.remove(ctx, "DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE since < now() - $2::interval LIMIT $1)", attemptWindow); err != nil {
		return fmt.Errorf("remove old attempts: %w", err)
	}
	// Somebody has typed an address that nobody confirms. Nobody can any more: there is no link, and none will be mailed. The state stands
	// outside as well, for who confirms it at this moment: then the statement has waited, and looks again.
	err := s.remove(ctx, `DELETE FROM account WHERE state = $2 AND id IN (SELECT id FROM account AS a WHERE state = $2 AND create_time < now() - $3::interval
		AND NOT EXISTS (SELECT FROM link WHERE account_id = a.id AND expire_time > now())
		AND NOT EXISTS (SELECT FROM mail WHERE account_id = a.id AND expire_time > now()) LIMIT $1)`, string(invited), invitedLife)
	if err != nil {
		return fmt.Errorf("remove accounts that nobody has confirmed: %w", err)
	}
	return nil
}

// remove removes rows with a statement whose first argument is how many, until there are no more.
func (s *service) remove(ctx context.Context, statement string, arguments ...any) error {
	for range maxBatches {
		tag, err := s.store.Pool().Exec(ctx, statement, append([]any{purgeBatch}, arguments...)...)
		if err != nil {
			return err
		}
		if tag.RowsAffected() < purgeBatch {
			return nil
		}
	}
	return nil
}
