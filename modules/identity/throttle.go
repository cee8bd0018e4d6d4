package identity

import (
	"context"
	"fmt"
	"time"
)

const (
	// attemptWindow is for how long attempts are counted together.
	attemptWindow = 15 * time.Minute
	// How many attempts to sign in one account may see in that time, and how many one network may make: many people can share one.
	accountAttempts = 10
	networkAttempts = 100
)

// accountKey returns under what attempts are counted for an account, whether there is such an account or not.
func accountKey(email string) []byte { return hashSecret("account " + email) }

// attempt counts an attempt of somebody in a network who names an account, and reports whether it may be made. What a network tries that may not
// is not counted for the account: one network alone would shut out everybody whose address it knows, and fill the table.
func (s *service) attempt(ctx context.Context, network, email string) (bool, error) {
	if network != "" {
		if may, err := s.count(ctx, hashSecret("network "+network), networkAttempts); err != nil || !may {
			return false, err
		}
	}
	return s.count(ctx, accountKey(email), accountAttempts)
}

// count counts an attempt before it is made, so that many at once are no more than many in a row, and reports whether it is one of the first.
func (s *service) count(ctx context.Context, key []byte, most int64) (bool, error) {
	var count int64
	err := s.store.Pool().QueryRow(ctx, `INSERT INTO attempt AS a (key, count, since) VALUES ($1, 1, now()) ON CONFLICT (key) DO UPDATE SET
		count = CASE WHEN a.since < now() - $2::interval THEN 1 ELSE a.count + 1 END,
		since = CASE WHEN a.since < now() - $2::interval THEN now() ELSE a.since END RETURNING count`, key, attemptWindow).Scan(&count)
	if err != nil {
		return false, fmt.Errorf("count an attempt: %w", err)
	}
	return count <= most, nil
}
