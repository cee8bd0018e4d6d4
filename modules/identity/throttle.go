package identity

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// attemptWindow is for how long attempts are counted together.
	attemptWindow = 15 * time.Minute
	// How many attempts to sign in one account may see in that time, and how many one network may make: many people can share one.
	accountAttempts = 10
	networkAttempts = 100
)

// limit is how many attempts there may be, and whose they are.
type limit struct {
	key []byte
	max int64
}

// limits returns those of somebody in a network who names an account, whether there is such an account or not.
func limits(network, email string) []limit {
	all := []limit{{hashSecret("account " + email), accountAttempts}}
	if network != "" {
		all = append(all, limit{hashSecret("network " + network), networkAttempts})
	}
	return all
}

// attempt counts an attempt before it is made, so that many at once are no more than many in a row, and reports whether it may be made.
func (s *service) attempt(ctx context.Context, all []limit) (bool, error) {
	slices.SortFunc(all, func(a, b limit) int { return bytes.Compare(a.key, b.key) }) // So that nobody waits for each other.
	may := true
	for _, l := range all {
		var count int64
		err := s.store.Pool().QueryRow(ctx, `INSERT INTO attempt AS a (key, count, since) VALUES ($1, 1, now()) ON CONFLICT (key) DO UPDATE SET
			count = CASE WHEN a.since < now() - $2::interval THEN 1 ELSE a.count + 1 END,
			since = CASE WHEN a.since < now() - $2::interval THEN now() ELSE a.since END RETURNING count`, l.key, attemptWindow).Scan(&count)
		if err != nil {
			return false, fmt.Errorf("count an attempt: %w", err)
		}
		may = may && count <= l.max
	}
	return may, nil
}
