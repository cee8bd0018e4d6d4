package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Claims are what a token says. A claim that is nil is not in it.
type Claims map[string]any

// Claims returns the claims of a good access token of a person with roles.
func (i *Issuer) Claims(subject string, roles ...string) Claims {
	now := time.Now()
	claims := Claims{
		"iss": i.URL, "aud": Audience, "sub": subject, "client_id": "app", "jti": fmt.Sprint(now.UnixNano()),
		"iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
	}
	if len(roles) > 0 {
		claims["roles"] = roles
	}
	return claims
}

// With returns the claims with others.
func (c Claims) With(others Claims) Claims {
	all := maps.Clone(c)
	maps.Copy(all, others)
	return all
}

// Token returns a good access token of a person with roles.
func (i *Issuer) Token(subject string, roles ...string) string {
	return i.Mint(i.Claims(subject, roles...))
}

// Mint returns a token with any claims, signed as the issuer signs now.
func (i *Issuer) Mint(claims Claims) string {
	key := i.Signing()
	return key.Sign(Header(key), claims.encode())
}

// Header returns the header of an access token that a key signs.
func Header(key Key) map[string]any {
	return map[string]any{"alg": key.Algorithm, "kid": key.ID, "typ": "at+jwt"}
}

func (c Claims) encode() string {
	said := maps.Clone(c)
	maps.DeleteFunc(said, func(_ string, value any) bool { return value == nil })
	return encode(said)
}

// Sign signs any header and payload, whatever they say: broken JSON, another algorithm, a name that is there twice. A key without a
// private part leaves the signature empty.
func (k Key) Sign(header map[string]any, payload string) string {
	return k.SignText(encode(header), payload)
}

// SignText is Sign with the header as text.
func (k Key) SignText(header, payload string) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	signature, err := k.signature([]byte(signed))
	if err != nil {
		panic(fmt.Sprintf("sign with %s: %v", k.Algorithm, err))
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// signature signs by hand, because a library would refuse to sign what must be refused.
func (k Key) signature(text []byte) ([]byte, error) {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[string(k.Algorithm[max(0, len(k.Algorithm)-3):])]
	digest := func() []byte {
		h := hash.New()
		h.Write(text)
		return h.Sum(nil)
	}
	switch private := k.Private.(type) {
	case nil:
		return nil, nil
	case []byte:
		mac := hmac.New(hash.New, private)
		mac.Write(text)
		return mac.Sum(nil), nil
	case ed25519.PrivateKey:
		return ed25519.Sign(private, text), nil
	case *rsa.PrivateKey:
		if k.Algorithm[0] == 'P' {
			return rsa.SignPSS(rand.Reader, private, hash, digest(), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, private, hash, digest())
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, digest())
		if err != nil {
			return nil, err
		}
		size := (private.Params().BitSize + 7) / 8
		both := make([]byte, 2*size)
		r.FillBytes(both[:size])
		s.FillBytes(both[size:])
		return both, nil
	}
	return nil, fmt.Errorf("a key of the type %T", k.Private)
}

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", value, err))
	}
	return string(text)
}
