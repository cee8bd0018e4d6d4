package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
)

// The provider takes its own access tokens and no others, where it is shown one itself. (What the edge takes is tried on a started product, in
// test/token_test.go and test/identity_test.go.)
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t, func(r *identityv1.PutClientRequest) { r.Client.Confidential, r.Secret = true, secret })
	jane := b.jane(t)
	p := b.party(t)
	p.config.ClientSecret = secret
	real := p.tokens(t, jane)
	key, err := (&service{store: storeOf(b)}).signer(t.Context())
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.private.Public())
	must(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(real.AccessToken, ".")[1])
	must(t, err)
	claims := jsonOf(t, string(payload))
	with := func(name string, value any) []byte {
		changed := maps.Clone(claims)
		changed[name] = value
		text, err := json.Marshal(changed)
		must(t, err)
		return text
	}
	signed := func(k *signer, typ string, claims []byte) string {
		t.Helper()
		text, err := k.sign(typ, claims)
		must(t, err)
		return text
	}
	// unsigned returns a token with a header of its own, and what somebody takes for a signature.
	unsigned := func(header string, sign func(text string) []byte) string {
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
		return text + "." + base64.RawURLEncoding.EncodeToString(sign(text))
	}
	mac := func(secret []byte) func(string) []byte {
		return func(text string) []byte {
			h := hmac.New(sha256.New, secret)
			h.Write([]byte(text))
			return h.Sum(nil)
		}
	}
	good := func(text string) (introspected, told bool) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, issuer+introspectionPath, strings.NewReader(url.Values{"token": {text}}.Encode()))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("app", url.QueryEscape(secret))
		asked := b.browser(t).look(t, r)
		r, err = http.NewRequest(http.MethodGet, issuer+userinfoPath, nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+text)
		return jsonOf(t, asked.body)["active"] == true, b.browser(t).look(t, r).status == http.StatusOK
	}
	now := float64(time.Now().Unix())
	for name, c := range map[string]struct {
		token string
		want  bool
	}{
		"as it was given":                 {real.AccessToken, true},
		"made anew with the key":          {signed(key, "at+jwt", with("jti", "another")), true}, // So it is what is wrong below that is refused.
		"alg=none":                        {unsigned(`{"alg":"none","typ":"at+jwt"}`, func(string) []byte { return nil }), false},
		"alg=none with its signature":     {unsigned(`{"alg":"none","typ":"at+jwt","kid":"`+key.id+`"}`, func(string) []byte { return []byte(real.AccessToken) }), false},
		"HS256 with the public key":       {unsigned(`{"alg":"HS256","typ":"at+jwt","kid":"`+key.id+`"}`, mac(public)), false},
		"HS256 with it as PEM":            {unsigned(`{"alg":"HS256","typ":"at+jwt","kid":"`+key.id+`"}`, mac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))), false},
		"an unknown kid":                  {signed(&signer{id: "key_unknown", private: key.private}, "at+jwt", payload), false},
		"no kid":                          {signed(&signer{private: key.private}, "at+jwt", payload), false},
		"another issuer":                  {signed(key, "at+jwt", with("iss", "https://evil.example")), false},
		"another audience":                {signed(key, "at+jwt", with("aud", "app")), false},
		"expired":                         {signed(key, "at+jwt", with("exp", now-1)), false},
		"without an end":                  {signed(key, "at+jwt", with("exp", nil)), false},
		"of another kind":                 {signed(key, "JWT", payload), false},
		"of a family that nobody knows":   {signed(key, "at+jwt", with("sid", "fam_unknown")), false},
		"of a client that does not exist": {signed(key, "at+jwt", with("client_id", "nobody")), false},
		"an ID token":                     {real.Extra("id_token").(string), false},
	} {
		if introspected, told := good(c.token); introspected != c.want || told != c.want {
			t.Errorf("%s: introspection finds it good: %t, userinfo: %t, want %t", name, introspected, told, c.want)
		}
	}
}
