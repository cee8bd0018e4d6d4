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

const (
	// deviceLife is for how long a browser is known in which somebody has signed in.
	deviceLife = 180 * 24 * time.Hour
	// maxDevices is how many an account knows, the latest ones, and how many accounts stay known in a browser.
	maxDevices = 50
)

// tally is where an attempt was counted.
type tally struct{ network, account []byte }

// attempt counts an attempt of somebody in a network who names an account, and reports whether it may be made. What a network tries that may not
// is not counted for the account: one network alone would shut out everybody whose address it knows, and fill the table. A browser that
// the account knows is counted by itself: it shuts out no other, and no other shuts it out.
func (s *service) attempt(ctx context.Context, network, email, device string) (at tally, may bool, err error) {
	if network != "" {
		at.network = hashSecret("network " + network)
		if may, err = s.count(ctx, at.network, networkAttempts); err != nil || !may {
			return at, false, err
		}
	}
	at.account = accountKey(email)
	if device != "" {
		var known int64
		err = s.store.Pool().QueryRow(ctx, `SELECT coalesce(max(d.id), 0) FROM device AS d JOIN account AS a ON a.id = d.account_id
			WHERE d.hash = $1 AND d.expire_time > now() AND a.email = $2`, hashSecret(device), email).Scan(&known)
		if err != nil {
			return at, false, fmt.Errorf("look whether a browser is known: %w", err)
		}
		if known > 0 { // It may be known to others, too, who sign in there: their success is not this one's.
			at.account = hashSecret(fmt.Sprintf("device %d", known))
		}
	}
	may, err = s.count(ctx, at.account, accountAttempts)
	return at, may, err
}

// succeeded forgets attempts of somebody who has shown the right password: what was counted was not in vain. Of the network only this one is
// forgotten: somebody with an account could try others for ever.
func (at tally) succeeded(tx tx) {
	tx.Defer("DELETE FROM attempt WHERE key = $1", at.account)
	tx.Defer("UPDATE attempt SET count = count - 1 WHERE key = $1 AND count > 0", at.network)
}

// know makes a browser known to an account and returns what it keeps, instead of what it had. Other accounts that know it still do.
func know(tx tx, accountID, device string) string {
	next, hash := newSecret()
	tx.Defer("DELETE FROM device WHERE hash = $1 AND account_id = $2", hashSecret(device), accountID)
	tx.Defer("UPDATE device SET hash = $2 WHERE id IN (SELECT id FROM device WHERE hash = $1 ORDER BY id DESC LIMIT $3)", hashSecret(device), hash, maxDevices)
	tx.Defer("DELETE FROM device WHERE id IN (SELECT id FROM device WHERE account_id = $1 ORDER BY id DESC OFFSET $2)", accountID, maxDevices-1)
	tx.Defer("INSERT INTO device (hash, account_id, expire_time) VALUES ($1, $2, now() + $3::interval)", hash, accountID, deviceLife)
	return next
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
