package auth

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// algorithms are those that a token may be signed with, whatever the issuer publishes: signatures by a key whose public half cannot
// sign. Neither none nor HMAC is among them.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

const malformed = "the access token is not a signed JWT"

// token is a token whose signature has not been verified.
type token struct {
	jws   *jose.JSONWebSignature
	keyID string
}

// parse reads a token, and refuses what no signature could make good. Of the header it believes nothing but the name of the key: a
// key or the address of one in it (jwk, jku, x5c, x5u) is not used.
func parse(text string) (token, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return token{}, invalid(malformed)
	}
	for _, part := range parts { // There is one way to write a token.
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return token{}, invalid(malformed)
		}
	}
	jws, err := jose.ParseSignedCompact(text, algorithms)
	var unexpected *jose.ErrUnexpectedSignatureAlgorithm
	if errors.As(err, &unexpected) {
		return token{}, invalid("the access token is signed in a way that is not accepted")
	}
	if err != nil {
		return token{}, invalid(malformed)
	}
	header := jws.Signatures[0].Protected
	if header.KeyID == "" {
		return token{}, invalid("the access token does not say which key has signed it")
	}
	// Extensions that must be understood; b64 is one, and would change what is signed.
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, there := header.ExtraHeaders[name]; there {
			return token{}, invalid("the access token has an extension that is not supported")
		}
	}
	if !isAccessToken(header.ExtraHeaders[jose.HeaderType]) {
		return token{}, invalid("the token is of another type than access tokens")
	}
	return token{jws, header.KeyID}, nil
}

// isAccessToken reports whether a token with this typ in its header may be an access token. JWT, or none, says nothing either way.
func isAccessToken(typ any) bool {
	if typ == nil {
		return true
	}
	name, _ := typ.(string)
	switch strings.TrimPrefix(strings.ToLower(name), "application/") {
	case "at+jwt", "jwt":
		return true
	}
	return false
}

// verify returns what the token says if one of the keys has signed it.
func (t token) verify(keys []jose.JSONWebKey) (claims, error) {
	if len(keys) == 0 {
		return nil, invalid("the access token is signed with a key that its issuer does not publish")
	}
	for _, key := range keys {
		if key.Algorithm != "" && key.Algorithm != t.jws.Signatures[0].Protected.Algorithm {
			continue
		}
		payload, err := t.jws.Verify(key.Key)
		if err != nil {
			continue
		}
		var said claims
		// This decoder refuses a name that is there twice: readers do not agree which of the two counts.
		if err := json.Unmarshal(payload, &said); err != nil || said == nil {
			return nil, invalid("the access token does not hold claims")
		}
		return said, nil
	}
	return nil, invalid("the signature of the access token is wrong")
}
