package identity

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/id"
)

const (
	// mailLife is for how long a mail is worth sending, and linkLife for how long a link in it is good once it is.
	mailLife = 24 * time.Hour
	linkLife = time.Hour
)

// mailKind is what a mail is about.
type mailKind string

const (
	confirmMail mailKind = "confirm" // Somebody has asked for an account: choose a password for it.
	existsMail  mailKind = "exists"  // Somebody has asked for one who has it.
	resetMail   mailKind = "reset"   // Somebody has forgotten the password.

	changeMail   mailKind = "change"   // Somebody wants the address that it goes to for the account: confirm it.
	changedMail  mailKind = "changed"  // The address that it goes to is not the account's any more.
	passwordMail mailKind = "password" // Somebody has changed the password while he was signed in.
)

// linked are the kinds of mails that bring a link to change the account with.
var linked = []string{string(confirmMail), string(resetMail), string(changeMail)}

// kindFor returns which mail is owed of those that an account in a state was; "" for none.
func kindFor(asked mailKind, is state) mailKind {
	switch {
	case is == invited && (asked == confirmMail || asked == resetMail):
		return confirmMail
	case is == active && asked == confirmMail:
		return existsMail
	case is == active, is == locked && (asked == changedMail || asked == passwordMail):
		return asked
	}
	return ""
}

// ask is what somebody asks for who cannot sign in, or not yet: a mail, to whoever has the address.
type ask struct {
	kind                  mailKind
	email, language, next string
	to                    string // Where it goes, if not to where the account's do.
}

// owe writes down that a mail is owed. It does the same whether there is an account or not, so that nobody learns that from how long it takes:
// a mail to nobody is found out only where it would be written.
func (s *service) owe(ctx context.Context, a ask) error {
	return s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		event := "reset_asked"
		if a.kind == confirmMail {
			event = "registration_asked"
			tx.Defer("INSERT INTO account (id, state, email, roles) VALUES ($1, $2, $3, $4) ON CONFLICT (email) DO NOTHING",
				id.New("usr"), string(invited), a.email, []string{customerRole})
		}
		found, _, err := findAccount(ctx, tx, "email = $1", a.email)
		if err != nil {
			return err
		}
		accountID := found.id
		if kindFor(a.kind, found.state) == "" {
			accountID = ""
		}
		audit(ctx, tx, audited{event: event, accountID: accountID})
		return s.oweTo(ctx, tx, accountID, a)
	})
}

// oweTo writes down that a mail is owed to an account, or to an address for its sake.
func (s *service) oweTo(ctx context.Context, tx tx, accountID string, a ask) error {
	mailID := id.New("mai")
	tx.Defer("INSERT INTO mail (id, account_id, kind, email, language, next, expire_time) VALUES ($1, $2, $3, $4, $5, $6, now() + $7::interval)",
		mailID, accountID, string(a.kind), a.to, a.language, a.next, mailLife)
	return s.events.Publish(ctx, tx, mailID, 1, &identityv1.MailOwed{MailId: mailID, UserId: accountID})
}

// mails implements MailService.
type mails struct{ *service }

func (s mails) WriteMails(ctx context.Context, r *identityv1.WriteMailsRequest) (*identityv1.WriteMailsResponse, error) {
	answer := &identityv1.WriteMailsResponse{}
	err := s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		answer.Mails = nil
		rows, _ := tx.Query(ctx, `SELECT m.id, m.kind, coalesce(nullif(a.language, ''), m.language), m.next, m.email, a.id, coalesce(nullif(m.email, ''), a.email), a.state FROM mail AS m JOIN account AS a ON a.id = m.account_id
			WHERE m.id = ANY($1) AND m.expire_time > now() AND a.email IS NOT NULL ORDER BY m.id FOR SHARE`, r.GetMailIds())
		var mailID, language, next, wanted, accountID, email string
		var asked mailKind
		var is state
		_, err := pgx.ForEachRow(rows, []any{&mailID, &asked, &language, &next, &wanted, &accountID, &email, &is}, func() error {
			kind := kindFor(asked, is)
			if kind == "" {
				return nil
			}
			link := s.issuer + signInPath
			if kind == passwordMail {
				link = s.issuer + resetPath
			}
			if slices.Contains(linked, string(kind)) {
				secret, hash := newSecret()
				link = s.issuer + passwordPath
				if kind == changeMail {
					link, hash = s.issuer+emailPath, hashChange(secret)
				}
				link += "?" + url.Values{"token": {secret}}.Encode()
				tx.Defer("INSERT INTO link (hash, account_id, email, next, expire_time) VALUES ($1, $2, $3, $4, now() + $5::interval)", hash, accountID, wanted, next, linkLife)
			}
			said := texts[language]
			answer.Mails = append(answer.Mails, &identityv1.Mail{
				MailId: mailID, Address: email, Subject: said["mail "+string(kind)], Text: strings.NewReplacer("{email}", email, "{link}", link).Replace(said["mail "+string(kind)+" text"]),
			})
			return nil
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("write mails: %w", err)
	}
	return answer, nil
}

// endLinks has no link to an account be good any more, and no mail bring another.
func endLinks(tx tx, accountID string) {
	tx.Defer("DELETE FROM link WHERE account_id = $1", accountID)
	tx.Defer("DELETE FROM mail WHERE account_id = $1 AND kind = ANY($2)", accountID, linked)
}

// followed returns whose password whoever has a link may choose and where he goes on then, and whether the link is good.
func (s *service) followed(ctx context.Context, secret string) (email, next string, ok bool, err error) {
	err = s.store.Pool().QueryRow(ctx, `SELECT coalesce(a.email, ''), l.next FROM link AS l JOIN account AS a ON a.id = l.account_id
		WHERE l.hash = $1 AND l.email = '' AND l.expire_time > now() AND a.state IN ('invited', 'active')`, hashSecret(secret)).Scan(&email, &next)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", "", false, nil
	}
	if err != nil {
		return "", "", false, fmt.Errorf("load a link: %w", err)
	}
	return email, next, true, nil
}

// choosePassword sets the password of an account for whoever has a link to it, once: all links to the account are spent by it, and those in mails that are owed. The address is
// confirmed, and nobody is signed in any more who was.
func (s *service) choosePassword(ctx context.Context, secret, password, name string) (email, next string, ok bool, err error) {
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return "", "", false, err
	}
	err = s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		ok = false
		var accountID string
		rows, _ := tx.Query(ctx, "DELETE FROM link WHERE hash = $1 AND email = '' AND expire_time > now() RETURNING account_id, next", hashSecret(secret))
		if _, err := pgx.ForEachRow(rows, []any{&accountID, &next}, func() error { return nil }); err != nil || accountID == "" {
			return err
		}
		a, found, err := findAccount(ctx, tx, "id = $1 AND state IN ('invited', 'active') FOR UPDATE", accountID)
		if err != nil || !found {
			return err
		}
		if a.state == invited {
			if _, err := move(ctx, tx, a.id, invited, active, "registered"); err != nil {
				return err
			}
			if err := s.events.Publish(ctx, tx, a.id, 1, &identityv1.UserRegistered{UserId: a.id}); err != nil {
				return err
			}
			tx.Defer("UPDATE account SET name = $2 WHERE id = $1", a.id, name)
		}
		endLinks(tx, a.id)
		tx.Defer("DELETE FROM attempt WHERE key = $1", accountKey(a.email))
		tx.Defer("UPDATE account SET password_hash = $2, email_verified = true WHERE id = $1", a.id, hash)
		audit(ctx, tx, audited{event: "password_chosen", accountID: a.id})
		email, ok = a.email, true
		if err := s.jobs.Insert(ctx, tx, claimOrders{a.id}, time.Time{}); err != nil {
			return err
		}
		return endSessions(ctx, tx, a.id)
	})
	return email, next, ok, db.Unavailable(err)
}
