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
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/db"
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

// signer signs tokens with one key, at one moment. The moment is the database's: all replicas have that clock.
type signer struct {
	id      string
	private *rsa.PrivateKey
	now     time.Time
}

// signer returns what tokens are signed with now. Without a key it makes one.
func (s *service) signer(ctx context.Context) (*signer, error) {
	var keyID string
	var kept []byte
	var now time.Time
	find := func() error {
		return s.store.Pool().QueryRow(ctx, "SELECT id, private, now() FROM signing_key WHERE use_time <= now() ORDER BY use_time DESC, id DESC LIMIT 1").Scan(&keyID, &kept, &now)
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
		return &signer{keyID, known.private, now}, nil
	}
	private, err := s.readKey(keyID, kept)
	if err != nil {
		return nil, err
	}
	known := &signer{keyID, private, now}
	s.signing.Store(known)
	return known, nil
}

// readKey returns a signing key as it is kept.
func (s *service) readKey(keyID string, kept []byte) (*rsa.PrivateKey, error) {
	text, _, err := s.vault.open(keyID, kept)
	if err != nil {
		return nil, fmt.Errorf("read the key %s: %w", keyID, err)
	}
	private, err := parseKey(text)
	if err != nil {
		return nil, fmt.Errorf("read the key %s: %w", keyID, err)
	}
	return private, nil
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

// keySet returns the public halves of all keys: of those that sign, that will, and that have. The vault is not needed for them. It says also what
// time it is by the clock that tokens are made by.
func (s *service) keySet(ctx context.Context) (set jose.JSONWebKeySet, now time.Time, err error) {
	set.Keys = []jose.JSONWebKey{}
	read := func() error {
		rows, _ := s.store.Pool().Query(ctx, "SELECT id, public, CASE WHEN public IS NULL THEN private END, now() FROM signing_key ORDER BY id")
		var keyID string
		var public, kept []byte
		_, err := pgx.ForEachRow(rows, []any{&keyID, &public, &kept, &now}, func() error {
			key, err := s.readPublic(keyID, public, kept)
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: key, KeyID: keyID, Algorithm: string(jose.RS256), Use: "sig"})
			return err
		})
		return err
	}
	if err = read(); err == nil && len(set.Keys) == 0 { // Whoever asks first shall find one.
		if err = s.rotateKeys(ctx); err == nil {
			err = read()
		}
	}
	if err != nil {
		return set, now, fmt.Errorf("load the signing keys: %w", err)
	}
	return set, now, nil
}

// readPublic returns the public half of a signing key: of the private one where it is not kept by itself.
func (s *service) readPublic(keyID string, public, kept []byte) (*rsa.PublicKey, error) {
	if public == nil {
		private, err := s.readKey(keyID, kept)
		if err != nil {
			return nil, err
		}
		return &private.PublicKey, nil
	}
	key, err := x509.ParsePKCS1PublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("read the public half of the key %s: %w", keyID, err)
	}
	return key, nil
}

// rotateKeys makes a key when there is none, or the last one is old, removes those whose tokens have expired, and has the others kept as the
// vault keeps keys now.
func (s *service) rotateKeys(ctx context.Context) error {
	var keys int
	var young bool
	if err := s.store.Pool().QueryRow(ctx, "SELECT count(*), coalesce(max(use_time) > now() - $1::interval, false) FROM signing_key", keyLife).Scan(&keys, &young); err != nil {
		return fmt.Errorf("look at the signing keys: %w", err)
	}
	if !young {
		if err := s.addKey(ctx, keyLife); err != nil {
			return err
		}
	}
	if err := s.sealKeys(ctx); err != nil || keys < 2 {
		return err
	}
	_, err := s.store.Pool().Exec(ctx, `DELETE FROM signing_key AS old WHERE EXISTS (
		SELECT FROM signing_key WHERE use_time > old.use_time AND use_time < now() - $1::interval)`, keyKeep)
	if err != nil {
		return fmt.Errorf("remove old signing keys: %w", err)
	}
	return nil
}

// sealKeys keeps keys anew that are not kept as the vault does now.
func (s *service) sealKeys(ctx context.Context) error {
	rows, _ := s.store.Pool().Query(ctx, "SELECT id, private, public IS NOT NULL FROM signing_key")
	type keptKey struct {
		id        string
		kept      []byte
		published bool
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (key keptKey, err error) {
		return key, row.Scan(&key.id, &key.kept, &key.published)
	})
	if err != nil {
		return fmt.Errorf("load the signing keys: %w", err)
	}
	for _, key := range all {
		text, current, err := s.vault.open(key.id, key.kept)
		if current && key.published || err != nil && len(s.vault) == 0 { // Without a key what is encrypted stays so.
			continue
		}
		if err == nil {
			err = s.keepKey(ctx, key.id, key.kept, text)
		}
		if err != nil {
			return fmt.Errorf("keep the key %s anew: %w", key.id, err)
		}
	}
	return nil
}

// keepKey keeps a key, if it is still kept as it was.
func (s *service) keepKey(ctx context.Context, keyID string, kept, text []byte) error {
	private, err := parseKey(text)
	if err != nil {
		return err
	}
	_, err = s.store.Pool().Exec(ctx, "UPDATE signing_key SET private = $2, public = $3 WHERE id = $1 AND private = $4",
		keyID, s.vault.seal(keyID, text), x509.MarshalPKCS1PublicKey(&private.PublicKey), kept)
	return err
}

// addKey makes a key, unless there is one that is younger than an age: another replica was faster. The first one signs at once.
func (s *service) addKey(ctx context.Context, age time.Duration) error {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return fmt.Errorf("make a signing key: %w", err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode a signing key: %w", err)
	}
	keyID := id.New("key")
	return s.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtext('cleave.identity.signing_key'))"); err != nil {
			return fmt.Errorf("lock the signing keys: %w", err)
		}
		tag, err := tx.Exec(ctx, `INSERT INTO signing_key (id, private, public, use_time)
			SELECT $1, $2, $5, CASE WHEN EXISTS (SELECT FROM signing_key) THEN now() + $4::interval ELSE now() END
			WHERE NOT EXISTS (SELECT FROM signing_key WHERE use_time > now() - $3::interval)`, keyID, s.vault.seal(keyID, text), age, keyAhead, x509.MarshalPKCS1PublicKey(&private.PublicKey))
		if err != nil {
			return fmt.Errorf("write a signing key: %w", err)
		}
		if tag.RowsAffected() > 0 {
			audit(ctx, tx, audited{event: "key_made"})
		}
		return nil
	})
}

// keyring implements KeyService.
type keyring struct{ *service }

func (s keyring) ListKeys(ctx context.Context, _ *identityv1.ListKeysRequest) (*identityv1.ListKeysResponse, error) {
	keys, err := s.listKeys(ctx)
	return &identityv1.ListKeysResponse{Keys: keys}, err
}

func (s keyring) RotateKeys(ctx context.Context, _ *identityv1.RotateKeysRequest) (*identityv1.RotateKeysResponse, error) {
	if err := s.addKey(ctx, 0); err != nil {
		return nil, db.Unavailable(err)
	}
	keys, err := s.listKeys(ctx)
	if err != nil {
		return nil, err
	}
	return &identityv1.RotateKeysResponse{Key: keys[len(keys)-1]}, nil
}

func (s *service) listKeys(ctx context.Context) ([]*identityv1.SigningKey, error) {
	rows, _ := s.store.Pool().Query(ctx, "SELECT id, create_time, use_time, get_byte(private, 0) = $1 FROM signing_key ORDER BY use_time, id", sealed)
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*identityv1.SigningKey, error) {
		var key identityv1.SigningKey
		var created, used time.Time
		err := row.Scan(&key.Id, &created, &used, &key.Encrypted)
		key.CreateTime, key.UseTime = timestamppb.New(created), timestamppb.New(used)
		return &key, err
	})
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("list the signing keys: %w", err))
	}
	return keys, nil
}
