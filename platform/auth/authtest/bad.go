package authtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cleave-go/cleave/platform/id"
)

// Bad is a request whose token must be refused.
type Bad struct {
	Name string
	// Header is what the request has.
	Header http.Header
	// Says is a part of the sentence that refuses it.
	Says string
}

// Bad returns requests whose tokens must be refused, each for a reason of its own. It publishes further keys: one for RS256, and a
// secret, as an issuer should not.
func (i *Issuer) Bad(t testing.TB) []Bad {
	t.Helper()
	const (
		malformed = "not a signed JWT"
		algorithm = "signed in a way that is not accepted"
		unknown   = "a key that its issuer does not publish"
		signature = "the signature of the access token is wrong"
		expired   = "has expired"
		early     = "not valid yet"
		noTime    = "a time that is none"
		kind      = "of another type than access tokens"
		idToken   = "this is an ID token"
		subject   = "does not say whose it is"
		extension = "an extension that is not supported"
		roles     = "the roles of the access token cannot be read"
		scopes    = "the scopes of the access token cannot be read"
		noClaims  = "does not hold claims"
		noBearer  = "the Authorization header is not Bearer and a token"
	)
	var all []Bad
	add := func(name, authorization, says string) {
		all = append(all, Bad{name, http.Header{"Authorization": {authorization}}, says})
	}
	key := i.Signing()
	good := i.Claims("usr_good", "customer")
	payload, token := good.encode(), i.Mint(good)
	head, rest, _ := strings.Cut(token, ".")
	body, sign, _ := strings.Cut(rest, ".")
	now := time.Now()

	// What is no token at all.
	for name, value := range map[string]string{
		"an empty header": "", "another scheme": "Basic dXNyOnNlY3JldA==", "the scheme alone": "Bearer", "the scheme and a space": "Bearer ",
		"a token without a scheme": token,
	} {
		add(name, value, noBearer)
	}
	for name, value := range map[string]string{
		"garbage": "garbage", "garbage of three parts": "a.b.c", "two parts": head + "." + body, "four parts": token + ".x",
		"a JWE": strings.Repeat("e30.", 4) + "e30", "the JSON serialization": `{"payload":"` + body + `"}`, "two tokens in one header": token + ", Bearer " + token,
		"padding": token + "==", "bits that nobody reads": head + "." + body + "." + sign[:len(sign)-1] + unread(sign), "a header that is a list": "W10." + body + "." + sign,
	} {
		add(name, "Bearer "+value, malformed)
	}
	add("three empty parts", "Bearer ..", algorithm)
	add("a huge token", "Bearer "+i.Mint(good.With(Claims{"picture": strings.Repeat("x", 8<<10)})), "too long")
	all = append(all, Bad{"two headers", http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}, "more than one Authorization header"})

	// What is signed wrongly.
	add("a changed payload", "Bearer "+head+"."+base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(payload, "usr_good", "usr_evil", 1)))+"."+sign, signature)
	add("a changed signature", "Bearer "+head+"."+body+"."+changed(sign), signature)
	add("a changed header", "Bearer "+base64.RawURLEncoding.EncodeToString([]byte(encode(Header(key))+" "))+"."+body+"."+sign, signature)
	add("no signature", "Bearer "+head+"."+body+".", signature)
	add("a signature of zeros", "Bearer "+head+"."+body+"."+base64.RawURLEncoding.EncodeToString(make([]byte, 64)), signature)
	for _, none := range []string{"none", "None", "NONE", ""} {
		unsigned := Key{ID: key.ID, Algorithm: jose.SignatureAlgorithm(none)}
		add(fmt.Sprintf("the algorithm %q", none), "Bearer "+unsigned.Sign(Header(unsigned), payload), algorithm)
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	published := i.Publish(Key{ID: id.New("key"), Algorithm: jose.RS256, Private: private})
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(published.public())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "DER": der, "JWK": jwk, "modulus": private.N.Bytes(), "nothing": {},
	} {
		confused := Key{ID: published.ID, Algorithm: jose.HS256, Private: secret}
		add("HS256 with the public key as "+name, "Bearer "+confused.Sign(Header(confused), payload), algorithm)
	}
	secret := i.Publish(Key{ID: id.New("key"), Algorithm: jose.HS512, Private: []byte(strings.Repeat("secret", 20))})
	add("HS512 with a secret that is published", "Bearer "+secret.Sign(Header(secret), payload), algorithm)
	add("a key for another algorithm", "Bearer "+Key{ID: published.ID, Algorithm: jose.PS256, Private: private}.Sign(map[string]any{"alg": "PS256", "kid": published.ID}, payload), signature)
	add("the algorithm of another key", "Bearer "+key.Sign(map[string]any{"alg": "RS256", "kid": published.ID}, payload), signature)

	// Keys of somebody else.
	evil := NewKey()
	add("an unknown key", "Bearer "+evil.Sign(Header(evil), payload), unknown)
	add("no key", "Bearer "+key.Sign(map[string]any{"alg": key.Algorithm, "typ": "at+jwt"}, payload), "does not say which key has signed it")
	for _, name := range []string{"../../../../etc/passwd", "http://169.254.169.254/latest/meta-data", "' OR 1=1 --", "/dev/null", "\x00", strings.Repeat("k", 1000)} {
		add(fmt.Sprintf("the key %.40q", name), "Bearer "+evil.Sign(map[string]any{"alg": "ES256", "kid": name}, payload), unknown)
	}
	add("somebody else's key by a known name", "Bearer "+evil.Sign(Header(key), payload), signature)
	for name, value := range map[string]any{
		"jwk": evil.public(), "jku": "http://evil.example/keys", "x5u": "http://evil.example/certificate",
	} {
		header := Header(key)
		header[name] = value
		add("a key in the header: "+name, "Bearer "+evil.Sign(header, payload), signature)
	}
	for name, header := range map[string]map[string]any{
		"crit": {"crit": []string{"exp"}, "exp": now.Unix()}, "crit of b64": {"crit": []string{"b64"}, "b64": false}, "b64 alone": {"b64": true}, "an empty crit": {"crit": []string{}},
	} {
		for member, value := range Header(key) {
			header[member] = value
		}
		add("an extension: "+name, "Bearer "+key.Sign(header, payload), extension)
	}
	add("a header with a name that is there twice", "Bearer "+key.SignText(`{"alg":"none","alg":"ES256","kid":"`+key.ID+`"}`, payload), malformed)

	// What was not made for this.
	for _, typ := range []any{"id+jwt", "logout+jwt", "refresh+jwt", "dpop+jwt", "secevent+jwt", 1, ""} {
		add(fmt.Sprintf("the type %v", typ), "Bearer "+key.Sign(map[string]any{"alg": key.Algorithm, "kid": key.ID, "typ": typ}, payload), kind)
	}
	for name, c := range map[string]struct {
		claims Claims
		says   string
	}{
		"another issuer": {Claims{"iss": "https://evil.example"}, "of another issuer"}, "an issuer with a slash": {Claims{"iss": i.URL + "/"}, "of another issuer"},
		"no issuer": {Claims{"iss": nil}, "of another issuer"}, "a list of issuers": {Claims{"iss": []string{i.URL}}, "of another issuer"},
		"another audience": {Claims{"aud": "https://other.example"}, "for another audience"}, "no audience": {Claims{"aud": nil}, "for another audience"},
		"other audiences": {Claims{"aud": []string{"app", "account"}}, "for another audience"}, "a part of the audience": {Claims{"aud": Audience[:len(Audience)-1]}, "for another audience"},
		"an audience that is an object": {Claims{"aud": map[string]any{Audience: true}}, "for another audience"},
		"expired":                       {Claims{"exp": now.Add(-time.Minute).Unix()}, expired}, "expired since 1970": {Claims{"exp": 0}, expired},
		"no end":           {Claims{"exp": nil}, "does not say when it expires"},
		"an end in words":  {Claims{"exp": "tomorrow"}, noTime},
		"a negative end":   {Claims{"exp": -1}, noTime},
		"an end far away":  {Claims{"exp": 1e300}, noTime},
		"not yet valid":    {Claims{"nbf": now.Add(5 * time.Minute).Unix()}, early},
		"of the future":    {Claims{"iat": now.Add(5 * time.Minute).Unix()}, early},
		"begins in words":  {Claims{"nbf": "now"}, noTime},
		"an ID token":      {Claims{"aud": Audience, "nonce": "n", "at_hash": "h"}, idToken},
		"nonce":            {Claims{"nonce": "n"}, idToken},
		"at_hash":          {Claims{"at_hash": "h"}, idToken},
		"c_hash":           {Claims{"c_hash": "h"}, idToken},
		"Keycloak ID":      {Claims{"typ": "ID"}, kind},
		"Keycloak refresh": {Claims{"typ": "Refresh"}, kind},
		"Cognito ID":       {Claims{"token_use": "id"}, kind},
		"a logout token":   {Claims{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, kind},
		"bound to a key":   {Claims{"cnf": map[string]any{"jkt": "x"}}, "bound to a key of its client"},
		"no subject":       {Claims{"sub": nil}, subject}, "an empty subject": {Claims{"sub": ""}, subject}, "a subject that is a number": {Claims{"sub": 1}, subject},
		"a long subject": {Claims{"sub": strings.Repeat("x", 129)}, subject}, "a subject of two words": {Claims{"sub": "usr good"}, subject},
		"the subject of a guest": {Claims{"sub": "gst_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b"}, "kept for guests"},
		"a subject with a line":  {Claims{"sub": "usr\r\nCleave-Caller: orders"}, subject},
		"roles of numbers":       {Claims{"roles": []int{1}}, roles}, "a role that is true": {Claims{"roles": true}, roles},
		"an object of words as roles": {Claims{"roles": map[string]any{"admin": "yes"}}, roles},
		"too many roles":              {Claims{"roles": strings.Fields(strings.Repeat("r ", 101))}, roles},
		"scopes of numbers":           {Claims{"scp": []int{1}}, scopes}, "too many scopes": {Claims{"scope": strings.Repeat("s ", 101)}, scopes},
	} {
		add(name, "Bearer "+i.Mint(good.With(c.claims)), c.says)
	}
	for name, text := range map[string]string{
		"a claim that is there twice": strings.Replace(payload, `{`, `{"sub":"usr_evil",`, 1), "a claim that is there twice inside": strings.Replace(payload, `{`, `{"x":{"y":1,"y":2},`, 1),
		"no claims": "", "null": "null", "a list": "[]", "a word": `"usr_good"`, "half of an object": payload[:len(payload)-1], "two objects": payload + payload,
	} {
		add("a payload of "+name, "Bearer "+key.Sign(Header(key), text), noClaims)
	}
	return all
}

// changed returns a signature with another first character.
func changed(signature string) string {
	if signature[0] == 'A' {
		return "B" + signature[1:]
	}
	return "A" + signature[1:]
}

// unread returns the last character of a signature with another bit of those that base64 has to spare there.
func unread(signature string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, signature[len(signature)-1])^1])
}
