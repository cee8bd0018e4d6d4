package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/id"
)

const (
	rotateEvery = 10 * time.Minute
	// keyLife is for how long tokens are signed with a key.
	keyLife = 30 * 24 * time.Hour
	// keyAhead is for how long a key is published before tokens are signed with it: longer than anybody keeps the keys (see
	// platform/auth), so that nobody meets a token whose key he does not know.
	keyAhead = 2 * time.Hour
	// keyKeep is for how long a key is published after the last token that it has signed has expired, for clocks that differ.
	keyKeep = tokenLife + time.Hour
	// keyBits is the size of a key. Every OpenID Connect client knows RS256.
	keyBits = 2048
)

// signer signs tokens with one key.
type signer struct {
	id      string
	private *rsa.PrivateKey
}

// signer returns what tokens are signed with now. Without a key it makes one.
func (s *service) signer(ctx context.Context) (*signer, error) {
	var keyID string
	var text []byte
	find := func() error {
		return s.store.Pool().QueryRow(ctx, "SELECT id, private FROM signing_key WHERE use_time <= now() ORDER BY use_time DESC, id DESC LIMIT 1").Scan(&keyID, &text)
	}
	err := find()
	if errors.Is(err, pgx.ErrNoRows) {
		if err = s.rotateKeys(ctx); err == nil {
			err = find()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("find the key to sign with: %w", err)
	}
	if known := s.signing.Load(); known != nil && known.id == keyID {
		return known, nil
	}
	private, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("read the key %s: %w", keyID, err)
	}
	known := &signer{keyID, private}
	s.signing.Store(known)
	return known, nil
}

func parseKey(text []byte) (*rsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(text)
	if err != nil {
		return nil, err
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a %T", parsed)
	}
	return private, nil
}

// sign returns a token of a type that says something.
func (k *signer) sign(typ string, claims []byte) (string, error) {
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: k.private, KeyID: k.id}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", err
	}
	signed, err := made.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// keySet returns the public halves of all keys: of those that sign, that will, and that have.
func (s *service) keySet(ctx context.Context) (jose.JSONWebKeySet, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	if _, err := s.signer(ctx); err != nil { // Whoever asks first shall find one.
		return set, err
	}
	rows, _ := s.store.Pool().Query(ctx, "SELECT id, private FROM signing_key ORDER BY id")
	var keyID string
	var text []byte
	_, err := pgx.ForEachRow(rows, []any{&keyID, &text}, func() error {
		private, err := parseKey(text)
		if err != nil {
			return fmt.Errorf("read the key %s: %w", keyID, err)
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: private.Public(), KeyID: keyID, Algorithm: string(jose.RS256), Use: "sig"})
		return nil
	})
	return set, err
}

// rotateKeys makes a key when there is none, or the last one is old, and removes those whose tokens have expired.
func (s *service) rotateKeys(ctx context.Context) error {
	var keys int
	var young bool
	if err := s.store.Pool().QueryRow(ctx, "SELECT count(*), coalesce(max(use_time) > now() - $1::interval, false) FROM signing_key", keyLife).Scan(&keys, &young); err != nil {
		return fmt.Errorf("look at the signing keys: %w", err)
	}
	if !young {
		if err := s.addKey(ctx); err != nil {
			return err
		}
	}
	if keys < 2 {
		return nil
	}
	_, err := s.store.Pool().Exec(ctx, `DELETE FROM signing_key AS old WHERE EXISTS (
		SELECT FROM signing_key WHERE use_time > old.use_time AND use_time < now() - $1::interval)`, keyKeep)
	if err != nil {
		return fmt.Errorf("remove old signing keys: %w", err)
	}
	return nil
}

// addKey makes a key, unless another replica was faster. The first one signs at once.
func (s *service) addKey(ctx context.Context) error {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("make a signing key: %w", err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode a signing key: %w", err)
	}
	return s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('cleave.identity.signing_key'))"); err != nil {
			return fmt.Errorf("lock the signing keys: %w", err)
		}
		tag, err := tx.Exec(ctx, `INSERT INTO signing_key (id, private, use_time)
			SELECT $1, $2, CASE WHEN EXISTS (SELECT FROM signing_key) THEN now() + $4::interval ELSE now() END
			WHERE NOT EXISTS (SELECT FROM signing_key WHERE use_time > now() - $3::interval)`, id.New("key"), text, keyLife, keyAhead)
		if err != nil {
			return fmt.Errorf("write a signing key: %w", err)
		}
		if tag.RowsAffected() > 0 {
			audit(ctx, tx, audited{event: "key_made"})
		}
		return nil
	})
}
