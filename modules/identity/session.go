package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/id"
)

// sessionLife is for how long somebody is signed in at a browser.
const sessionLife = 30 * 24 * time.Hour

var (
	// errRefused says that somebody cannot sign in. It does not say why: there may be no such account, or it may be locked.
	errRefused = errors.New("the address and the password do not belong to an account that can sign in")
	// errTooMany says that somebody has tried too often, whether there is such an account or not.
	errTooMany = errors.New("there were too many attempts")
)

// session is where somebody is signed in.
type session struct {
	id, device string
	account    account
	began      time.Time
	age        time.Duration // By the clock that began is by.
}

// visitor is whoever signs in at a browser.
type visitor struct {
	network, device string
	cookie          string // Of the session that is there already.
	known           string // By which accounts know the browser.
}

// signIn signs somebody in and returns what his browser keeps: of the session, and to be known again. Every attempt that is made costs a hash,
// so that none tells by its time whether there is such an account.
func (s *service) signIn(ctx context.Context, at visitor, email, password string) (cookie, known string, err error) {
	counted, may, err := s.attempt(ctx, at.network, email, at.known)
	if err != nil {
		return "", "", err
	}
	if !may {
		return "", "", errTooMany
	}
	a, _, err := findAccount(ctx, s.store.Pool(), "email = $1", email)
	if err != nil {
		return "", "", err
	}
	right, err := s.hasher.verify(ctx, a.hash, password)
	if err != nil {
		return "", "", err
	}
	refused := false
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		if refused = !right; !refused {
			same, err := s.unchanged(ctx, tx, a, password, "FOR SHARE")
			if err != nil {
				return err
			}
			refused = !same
		}
		if refused {
			audit(ctx, tx, audited{event: "sign_in_refused", accountID: a.id})
			return nil
		}
		var hash []byte
		cookie, hash = newSecret()
		sessionID := id.New("ses")
		if err := replaceSession(ctx, tx, at.cookie, a.id, sessionID); err != nil {
			return err
		}
		counted.succeeded(tx)
		known = know(tx, a.id, at.known)
		audit(ctx, tx, audited{event: "signed_in", accountID: a.id, sessionID: sessionID})
		_, err := tx.Exec(ctx, "INSERT INTO session (id, hash, account_id, device, expire_time) VALUES ($1, $2, $3, $4, now() + $5::interval)",
			sessionID, hash, a.id, at.device, sessionLife)
		return err
	})
	switch {
	case err != nil:
		return "", "", fmt.Errorf("write down a sign-in: %w", err)
	case refused:
		return "", "", errRefused
	}
	s.renewHash(ctx, a, password)
	return cookie, known, nil
}

// unchanged locks an account for which somebody has shown the right password, and reports whether it still is. The hash has taken its time: the account may
// have been locked or have got another password meanwhile. Who does that waits for this transaction now, and ends the session.
func (s *service) unchanged(ctx context.Context, tx tx, shown account, password, lock string) (bool, error) {
	a, found, err := findAccount(ctx, tx, "id = $1 AND state = 'active' "+lock, shown.id)
	if err != nil || !found || a.hash == shown.hash {
		return found, err
	}
	return s.hasher.verify(ctx, a.hash, password) // Somebody may have shown it elsewhere, and have had it hashed anew.
}

// renewHash hashes a password anew that is known to be right, if it was hashed at another cost than passwords are now. If that fails the
// next time will do.
func (s *service) renewHash(ctx context.Context, a account, password string) {
	if fresh(a.hash) {
		return
	}
	hash, err := s.hasher.hash(ctx, password)
	if err == nil {
		_, err = s.store.Pool().Exec(ctx, "UPDATE account SET password_hash = $3 WHERE id = $1 AND password_hash = $2", a.id, a.hash, hash)
	}
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "the hash of a password is not renewed yet", slog.String("account", a.id), slog.String("error", err.Error()))
	}
}

// replaceSession ends the session of a browser in which somebody signs in again. What clients got in it goes along with the next one if that is
// of the same person, and ends otherwise.
func replaceSession(ctx context.Context, tx tx, cookie, accountID, nextID string) error {
	if cookie == "" {
		return nil
	}
	var oldID, of string
	err := tx.QueryRow(ctx, "DELETE FROM session WHERE hash = $1 RETURNING id, account_id", hashSecret(cookie)).Scan(&oldID, &of)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end the session before: %w", err)
	}
	if of == accountID {
		tx.Defer("UPDATE family SET session_id = $2 WHERE session_id = $1", oldID, nextID)
	} else {
		tx.Defer("UPDATE family SET end_time = now() WHERE session_id = $1 AND end_time IS NULL", oldID)
	}
	audit(ctx, tx, audited{event: "signed_out", accountID: of, sessionID: oldID})
	return nil
}

// findSession returns the session that a cookie is of, and whether there is one in which somebody may still act.
func (s *service) findSession(ctx context.Context, cookie string) (found session, ok bool, err error) {
	if cookie == "" {
		return session{}, false, nil
	}
	err = s.store.Pool().QueryRow(ctx, `SELECT s.id, s.device, s.create_time, now() - s.create_time, a.id, coalesce(a.email, ''), a.name, a.language, a.state, a.roles
		FROM session AS s JOIN account AS a ON a.id = s.account_id WHERE s.hash = $1 AND s.expire_time > now() AND a.state = $2`, hashSecret(cookie), string(active)).
		Scan(&found.id, &found.device, &found.began, &found.age, &found.account.id, &found.account.email, &found.account.name, &found.account.language, &found.account.state, &found.account.roles)
	if errors.Is(err, pgx.ErrNoRows) {
		return session{}, false, nil
	}
	if err != nil {
		return session{}, false, fmt.Errorf("load a session: %w", err)
	}
	return found, true, nil
}

// listSessions returns where somebody is signed in, the latest first.
func (s *service) listSessions(ctx context.Context, accountID string) ([]session, error) {
	rows, _ := s.store.Pool().Query(ctx, "SELECT id, device, create_time FROM session WHERE account_id = $1 AND expire_time > now() ORDER BY id DESC LIMIT 100", accountID)
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (found session, err error) {
		return found, row.Scan(&found.id, &found.device, &found.began)
	})
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	return all, nil
}

// endSession signs somebody out of one of his browsers, and ends what clients got there. It reports whether there was such a session.
func endSession(ctx context.Context, tx tx, accountID, sessionID string) (found bool, err error) {
	tag, err := tx.Exec(ctx, "DELETE FROM session WHERE id = $1 AND account_id = $2", sessionID, accountID)
	if err != nil {
		return false, fmt.Errorf("end a session: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	audit(ctx, tx, audited{event: "signed_out", accountID: accountID, sessionID: sessionID})
	tx.Defer("UPDATE family SET end_time = now() WHERE session_id = $1 AND account_id = $2 AND end_time IS NULL", sessionID, accountID)
	return true, nil
}

// endSessions signs somebody out everywhere, and has the account know no browser any more.
func endSessions(ctx context.Context, tx tx, accountID string) error {
	tx.Defer("DELETE FROM session WHERE account_id = $1", accountID)
	tx.Defer("DELETE FROM device WHERE account_id = $1", accountID)
	_, err := tx.Exec(ctx, "UPDATE family SET end_time = now() WHERE account_id = $1 AND end_time IS NULL", accountID)
	if err != nil {
		return fmt.Errorf("end what account %s is signed in at: %w", accountID, err)
	}
	return nil
}

// deviceOf says in few words what a browser is, so that its owner knows it again.
func deviceOf(agent string) string {
	first := func(among ...[2]string) string {
		for _, pair := range among {
			if strings.Contains(agent, pair[0]) {
				return pair[1]
			}
		}
		return ""
	}
	browser := first([2]string{"Edg", "Edge"}, [2]string{"OPR/", "Opera"}, [2]string{"Firefox", "Firefox"}, [2]string{"Chrom", "Chrome"}, [2]string{"Safari", "Safari"})
	system := first([2]string{"Android", "Android"}, [2]string{"iPhone", "iPhone"}, [2]string{"iPad", "iPad"}, [2]string{"Windows", "Windows"}, [2]string{"Mac OS", "macOS"}, [2]string{"Linux", "Linux"})
	return strings.Trim(browser+", "+system, ", ")
}
