package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cleave-go/cleave/platform/db"
)

// hashChange returns the hash of what a link to a new address says. It is no link to choose a password, for no release.
func hashChange(secret string) []byte { return hashSecret("change " + secret) }

// setProfile says how somebody is called, and in which language he wants mails and pages.
func (s *service) setProfile(ctx context.Context, accountID, name, language string) error {
	_, err := s.change(ctx, accountID, "profile_set", "UPDATE account SET name = $2, language = $3 WHERE id = $1 AND state = 'active'", name, language)
	return err
}

// recognise returns the account of somebody who is signed in and shows his password once more; errRefused if it is not his, errTooMany if he
// has tried too often.
func (s *service) recognise(ctx context.Context, who session, at visitor, password string) (account, tally, error) {
	counted, may, err := s.attempt(ctx, at.network, who.account.email, at.known)
	if err != nil {
		return account{}, counted, err
	}
	if !may {
		return account{}, counted, errTooMany
	}
	a, _, err := findAccount(ctx, s.store.Pool(), "id = $1", who.account.id)
	if err != nil {
		return account{}, counted, err
	}
	right, err := s.hasher.verify(ctx, a.hash, password)
	if err == nil && !right {
		err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
			audit(ctx, tx, audited{event: "password_refused", accountID: a.id, sessionID: who.id})
			return nil
		})
		if err == nil {
			err = errRefused
		}
	}
	return a, counted, err
}

// still locks an account and the session in which somebody acts; errRefused if they are not as they were when he showed his password.
func (s *service) still(ctx context.Context, tx tx, who session, a account, password string) error {
	same, err := s.unchanged(ctx, tx, a, password, "FOR UPDATE")
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, "SELECT FROM session WHERE id = $1 AND account_id = $2 FOR UPDATE", who.id, a.id)
	if err != nil {
		return fmt.Errorf("look at session %s again: %w", who.id, err)
	}
	if !same || tag.RowsAffected() == 0 {
		return errRefused
	}
	return nil
}

// changePassword sets another password for somebody who is signed in and shows the one before, and returns what his browser keeps from now on: what it kept
// before somebody else may have, too. He is signed out everywhere else, every app has to ask him again, and he is told by mail.
func (s *service) changePassword(ctx context.Context, who session, at visitor, old, password, language string) (cookie, known string, err error) {
	a, counted, err := s.recognise(ctx, who, at, old)
	if err != nil {
		return "", "", err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return "", "", err
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		if err := s.still(ctx, tx, who, a, old); err != nil {
			return err
		}
		counted.succeeded(tx)
		endLinks(tx, a.id)
		tx.Defer("UPDATE account SET password_hash = $2 WHERE id = $1", a.id, hash)
		tx.Defer("DELETE FROM session WHERE account_id = $1 AND id <> $2", a.id, who.id)
		var kept []byte
		cookie, kept = newSecret()
		tx.Defer("UPDATE session SET hash = $2 WHERE id = $1", who.id, kept)
		tx.Defer("DELETE FROM device WHERE account_id = $1", a.id)
		known = know(tx, a.id, at.known)
		tx.Defer("UPDATE family SET end_time = now() WHERE account_id = $1 AND end_time IS NULL", a.id)
		audit(ctx, tx, audited{event: "password_changed", accountID: a.id, sessionID: who.id})
		return s.oweTo(ctx, tx, a.id, ask{kind: passwordMail, language: language})
	})
	return cookie, known, err
}

// askEmail has a link mailed to an address that somebody wants for his account. If it is another account's, that one is told instead. He learns
// nothing of that: what is done is the same.
func (s *service) askEmail(ctx context.Context, who session, at visitor, password, email, language string) error {
	a, counted, err := s.recognise(ctx, who, at, password)
	if err != nil {
		return err
	}
	may, err := s.count(ctx, accountKey("mail "+email), accountAttempts)
	if err != nil {
		return err
	}
	if !may {
		return errTooMany
	}
	return s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		if err := s.still(ctx, tx, who, a, password); err != nil {
			return err
		}
		counted.succeeded(tx)
		other, found, err := findAccount(ctx, tx, "email = $1", email)
		if err != nil {
			return err
		}
		to, asked := a.id, ask{kind: changeMail, to: email, language: language}
		if found && other.state != invited { // One that nobody has confirmed keeps nobody from it.
			to, asked = other.id, ask{kind: existsMail, language: language}
		}
		audit(ctx, tx, audited{event: "email_asked", accountID: a.id, sessionID: who.id})
		return s.oweTo(ctx, tx, to, asked)
	})
}

// askedEmail returns the address that whoever has a link may make his account's, and whether the link is good and his.
func (s *service) askedEmail(ctx context.Context, who session, secret string) (email string, ok bool, err error) {
	err = s.store.Pool().QueryRow(ctx, "SELECT coalesce(max(email), '') FROM link WHERE hash = $1 AND account_id = $2 AND email <> '' AND expire_time > now()",
		hashChange(secret), who.account.id).Scan(&email)
	if err != nil {
		return "", false, fmt.Errorf("load a link: %w", err)
	}
	return email, email != "", nil
}

// changeEmail makes an address the account's for whoever is signed in and has the link that was mailed there, once. The address before is told, and links
// that went there are good no more.
func (s *service) changeEmail(ctx context.Context, who session, secret, language string) (ok bool, err error) {
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		ok = false
		var email string
		rows, _ := tx.Query(ctx, "DELETE FROM link WHERE hash = $1 AND account_id = $2 AND email <> '' AND expire_time > now() RETURNING email", hashChange(secret), who.account.id)
		if _, err := pgx.ForEachRow(rows, []any{&email}, func() error { return nil }); err != nil || email == "" {
			return err
		}
		a, found, err := findAccount(ctx, tx, "id = $1 AND state = 'active' FOR UPDATE", who.account.id)
		if err != nil || !found {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM account WHERE email = $1 AND state = $2", email, string(invited)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE account SET email = $2, email_verified = true WHERE id = $1", a.id, email); err != nil {
			return err
		}
		endLinks(tx, a.id)
		tx.Defer("DELETE FROM attempt WHERE key = $1", accountKey(email))
		audit(ctx, tx, audited{event: "email_changed", accountID: a.id, sessionID: who.id})
		if err := s.jobs.Insert(ctx, tx, claimOrders{a.id}, time.Time{}); err != nil {
			return err
		}
		ok = true
		return s.oweTo(ctx, tx, a.id, ask{kind: changedMail, to: a.email, language: language})
	})
	var taken *pgconn.PgError
	if errors.As(err, &taken) && taken.ConstraintName == "account_email" { // Somebody has registered with it meanwhile.
		return false, nil
	}
	return ok, db.Unavailable(err)
}
