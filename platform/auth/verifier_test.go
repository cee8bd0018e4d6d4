package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/go-jose/go-jose/v4"

	"github.com/cleave-go/cleave/platform/auth"
	"github.com/cleave-go/cleave/platform/auth/authtest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// TestGood holds what the tokens of different issuers look like, and what is read in them.
func TestGood(t *testing.T) {
	t.Parallel()
	issuer := authtest.Start(t)
	now := time.Now()
	for name, c := range map[string]struct {
		rolesClaim string
		claims     authtest.Claims
		roles      string // All, with commas between them.
		scopes     string
	}{
		"a customer": {claims: authtest.Claims{"roles": []string{"customer"}}, roles: "customer"},
		"several roles and scopes": {
			claims: authtest.Claims{"roles": []string{"staff", "admin"}, "scope": "orders:read orders:write"}, roles: "staff,admin", scopes: "orders:read,orders:write",
		},
		"no role":                        {roles: "customer"},
		"an empty list of roles":         {claims: authtest.Claims{"roles": []string{}}, roles: "customer"},
		"a role as a word":               {claims: authtest.Claims{"roles": "staff"}, roles: "staff"},
		"a role that no rule could name": {claims: authtest.Claims{"roles": []string{"Shop Manager", "staff", "Geschäft"}}, roles: "staff"},
		"scopes as a list":               {claims: authtest.Claims{"scp": []string{"orders:read"}}, roles: "customer", scopes: "orders:read"},
		"scopes as a text in scp":        {claims: authtest.Claims{"scp": "orders:read openid"}, roles: "customer", scopes: "orders:read,openid"},
		"several audiences":              {claims: authtest.Claims{"aud": []string{"account", authtest.Audience}}, roles: "customer"},
		"parts of seconds":               {claims: authtest.Claims{"exp": float64(now.Add(time.Hour).UnixMilli()) / 1000}, roles: "customer"},
		"Keycloak": {
			rolesClaim: "realm_access.roles",
			claims: authtest.Claims{"typ": "Bearer", "azp": "shop", "client_id": nil, "realm_access": map[string]any{"roles": []string{"offline_access", "staff"}},
				"scope": "openid email"},
			roles: "offline_access,staff", scopes: "openid,email",
		},
		"Keycloak, roles of a client with dots in its name": {
			rolesClaim: "resource_access.shop.example.com.roles",
			claims:     authtest.Claims{"resource_access": map[string]any{"shop.example.com": map[string]any{"roles": []string{"staff"}}}}, roles: "staff",
		},
		"Auth0": {
			rolesClaim: "https://shop.example/roles",
			claims:     authtest.Claims{"https://shop.example/roles": []string{"admin"}, "azp": "app", "gty": "password"}, roles: "admin",
		},
		"Zitadel": {
			rolesClaim: "urn:zitadel:iam:org:project:roles",
			claims:     authtest.Claims{"urn:zitadel:iam:org:project:roles": map[string]any{"staff": map[string]any{"1": "shop.zitadel.cloud"}, "admin": map[string]any{}}}, roles: "admin,staff",
		},
		"a path that leads nowhere": {rolesClaim: "realm_access.roles", claims: authtest.Claims{"realm_access": []string{"roles"}}, roles: "customer"},
		"a program":                 {claims: authtest.Claims{"client_id": "usr_somebody"}},
		"a program of before":       {claims: authtest.Claims{"client_id": nil, "azp": "usr_somebody"}},
		"a program at Auth0":        {claims: authtest.Claims{"gty": "client-credentials"}},
		"a program at Okta":         {claims: authtest.Claims{"client_id": nil, "cid": "usr_somebody"}},
		"a program at Entra":        {claims: authtest.Claims{"client_id": nil, "azp": "app", "idtyp": "app"}},
		"a person at Entra":         {claims: authtest.Claims{"client_id": nil, "azp": "app", "idtyp": "user"}, roles: "customer"},
		"a program at Keycloak":     {claims: authtest.Claims{"client_id": "Till", "preferred_username": "service-account-till"}},
		"a program with a role":     {claims: authtest.Claims{"client_id": "usr_somebody", "roles": []string{"staff"}}, roles: "staff"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claim := c.rolesClaim
			if claim == "" {
				claim = "roles"
			}
			token := issuer.Mint(issuer.Claims("usr_somebody").With(c.claims))
			v := verifier(t, issuer, claim)
			for range 2 { // The second time it is remembered.
				got, err := authenticate(v, token)
				if err != nil {
					t.Fatal(err)
				}
				want := rpc.Principal{Subject: "usr_somebody", Roles: list(c.roles), Scopes: list(c.scopes)}
				if got.Subject != want.Subject || strings.Join(got.Roles, ",") != c.roles || strings.Join(got.Scopes, ",") != c.scopes {
					t.Errorf("got %+v, want %+v", got, want)
				}
			}
		})
	}
}

func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

// TestAlgorithms holds that each way to sign works that an issuer may choose, and each type that an access token may have.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	issuer := authtest.Start(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[jose.SignatureAlgorithm]any{jose.EdDSA: edwards}
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		keys[algorithm] = private
	}
	for algorithm, curve := range map[jose.SignatureAlgorithm]elliptic.Curve{jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521()} {
		if keys[algorithm], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	var tokens []string
	for algorithm, private := range keys {
		issuer.Sign(issuer.Publish(authtest.Key{ID: "key-" + string(algorithm), Algorithm: algorithm, Private: private}))
		tokens = append(tokens, issuer.Token("usr_somebody"))
	}
	key := issuer.Publish(authtest.NewKey())
	issuer.Sign(key)
	for _, typ := range []any{"at+jwt", "AT+JWT", "application/at+jwt", "JWT", "jwt", nil} {
		header := authtest.Header(key)
		header["typ"] = typ
		tokens = append(tokens, key.Sign(header, payload(t, issuer.Mint(issuer.Claims("usr_somebody")))))
	}
	header := authtest.Header(key)
	header["jku"], header["x5u"], header["more"] = "http://127.0.0.1:1/keys", "file:///etc/passwd", map[string]any{"a": []int{1}}
	tokens = append(tokens, key.Sign(header, payload(t, issuer.Token("usr_somebody"))))
	v := verifier(t, issuer, "roles")
	for _, token := range tokens {
		if _, err := authenticate(v, token); err != nil {
			t.Errorf("%s: %v", token, err)
		}
	}
}

// payload returns what a token says.
func payload(t *testing.T, token string) string {
	t.Helper()
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return string(jws.UnsafePayloadWithoutVerification())
}

// TestBad holds that a token that is not good is refused, in words that say why, and that nobody is taken for anonymous who has one.
func TestBad(t *testing.T) {
	t.Parallel()
	issuer := authtest.Start(t)
	bad := issuer.Bad(t)
	v := verifier(t, issuer, "roles")
	var trying sync.WaitGroup // At once, because some have to wait for a key that might come.
	for _, c := range bad {
		trying.Go(func() {
			for range 2 { // The second time is no better.
				refused(t, v, c)
			}
		})
	}
	trying.Wait()
	if _, err := authenticate(v, issuer.Token("usr_good")); err != nil {
		t.Errorf("a good token after all of them: %v", err)
	}
}

// TestOddClaims holds that no claim is taken for what it is not: each one that counts is tried as every kind of JSON.
func TestOddClaims(t *testing.T) {
	t.Parallel()
	issuer := authtest.Start(t)
	v := verifier(t, issuer, "realm_access.roles")
	odd := []any{
		false, true, 0, -1, 1.5, 1e300, math.MaxInt64, "", "x", "0", "\u0000", "\u202e", strings.Repeat("x", 5000), []any{}, []any{nil}, []any{[]any{}}, []any{1, "x"}, map[string]any{},
		map[string]any{"roles": nil}, map[string]any{"roles": map[string]any{"admin": map[string]any{}}}, map[string]any{"": 1}, nested(1000),
	}
	// What each may be besides what it is in a good token.
	harmless := map[string]func(any) bool{
		"nbf": func(v any) bool { return v == 0 || v == 1.5 }, "iat": func(v any) bool { return v == 0 || v == 1.5 },
		"sub": func(v any) bool { return v == "x" || v == "0" }, "exp": func(any) bool { return false }, "iss": func(any) bool { return false }, "aud": func(any) bool { return false },
		"nonce": func(any) bool { return false }, "typ": func(any) bool { return false }, "token_use": func(any) bool { return false }, "cnf": func(any) bool { return false },
		// None of these may change whose token it is.
		"scope": nil, "scp": nil, "realm_access": nil, "client_id": nil, "azp": nil, "gty": nil, "cid": nil, "idtyp": nil, "preferred_username": nil,
	}
	for name, good := range harmless {
		for _, value := range odd {
			got, err := authenticate(v, issuer.Mint(issuer.Claims("usr_somebody").With(authtest.Claims{name: value})))
			switch {
			case err != nil && connect.CodeOf(err) != connect.CodeUnauthenticated:
				t.Errorf("%s as %.60v: %v", name, value, err)
			case good == nil && err == nil && got.Subject != "usr_somebody":
				t.Errorf("%s as %.60v: got %+v", name, value, got)
			case good != nil && good(value) != (err == nil):
				t.Errorf("%s as %.60v: got %+v, %v", name, value, got, err)
			}
		}
	}
}

// nested returns lists in lists.
func nested(depth int) any {
	var value any = "x"
	for range depth {
		value = []any{value}
	}
	return value
}

// refused requires that a request is refused as it should.
func refused(t *testing.T, v *auth.Verifier, c authtest.Bad) {
	t.Helper()
	got, err := v.Authenticate(request(c.Header))
	if connect.CodeOf(err) != connect.CodeUnauthenticated || !strings.Contains(err.Error(), c.Says) || !reflect.ValueOf(got).IsZero() {
		t.Errorf("%s: got %+v, %v; want unauthenticated: %s", c.Name, got, err, c.Says)
		return
	}
	var connectErr *connect.Error
	if errors.As(err, &connectErr); !strings.HasPrefix(connectErr.Meta().Get("WWW-Authenticate"), `Bearer error="invalid_token", error_description="`) {
		t.Errorf("%s: it says %v", c.Name, connectErr.Meta())
	}
	reason := "TOKEN_INVALID"
	if strings.Contains(c.Says, "expired") {
		reason = "TOKEN_EXPIRED"
	}
	if rpc.Reason(err) != reason {
		t.Errorf("%s: the reason is %s, want %s", c.Name, rpc.Reason(err), reason)
	}
}

// TestNobody holds that who has no token is nobody, also in a request that has one where it does not count.
func TestNobody(t *testing.T) {
	t.Parallel()
	issuer := authtest.Start(t)
	v := verifier(t, issuer, "roles")
	r := request(http.Header{"Cookie": {"access_token=" + issuer.Token("usr_somebody")}})
	r.URL.RawQuery = "access_token=" + issuer.Token("usr_somebody")
	if got, err := v.Authenticate(r); err != nil || !got.Anonymous() {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := v.Authenticate(request(http.Header{"Authorization": {"bearer  " + issuer.Token("usr_somebody") + " "}})); err != nil || got.Subject != "usr_somebody" {
		t.Errorf("a token with spaces around it: got %+v, %v", got, err)
	}
}

// TestForeignKeys holds that no token leads the verifier anywhere.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	called := make(chan string, 10)
	evil := authtest.Start(t)
	evil.Answer(func(_ http.ResponseWriter, r *http.Request) { called <- r.URL.Path })
	issuer := authtest.Start(t)
	v := verifier(t, issuer, "roles")
	for _, name := range []string{"jku", "x5u", "kid", "iss"} {
		header := authtest.Header(evil.Signing())
		header[name] = evil.URL + "/keys"
		if _, err := authenticate(v, evil.Signing().Sign(header, payload(t, issuer.Token("usr_somebody")))); connect.CodeOf(err) != connect.CodeUnauthenticated {
			t.Errorf("%s: got %v", name, err)
		}
	}
	select {
	case path := <-called:
		t.Errorf("a token made the verifier ask for %s of somebody else", path)
	default:
	}
}
