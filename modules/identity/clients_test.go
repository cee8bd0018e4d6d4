package identity

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

const secret = "s3cret-of-the-nightly-job: 100 % random"

// nightly makes a service account known.
func nightly(r *identityv1.PutClientRequest) {
	r.Client = &identityv1.Client{Id: "nightly", Name: "Nightly job", Scopes: []string{"orders:read"}, Roles: []string{"staff"}, Confidential: true}
	r.Secret = secret
}

// A service account gets tokens in its own name, for what it may.
func TestServiceAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	b.app(t, nightly)
	p := b.party(t)
	ask := func(change func(*clientcredentials.Config)) (*oauth2.Token, error) {
		c := clientcredentials.Config{ClientID: "nightly", ClientSecret: secret, TokenURL: p.config.Endpoint.TokenURL, AuthStyle: oauth2.AuthStyleInHeader}
		change(&c)
		return c.Token(p.ctx)
	}
	for name, c := range map[string]struct {
		change func(*clientcredentials.Config)
		want   string
	}{
		"in the header":  {func(*clientcredentials.Config) {}, ""},
		"in the form":    {func(c *clientcredentials.Config) { c.AuthStyle = oauth2.AuthStyleInParams }, ""},
		"with its scope": {func(c *clientcredentials.Config) { c.Scopes = []string{"orders:read"} }, ""},
		"a wrong secret": {func(c *clientcredentials.Config) { c.ClientSecret += "x" }, "invalid_client"},
		"nobody":         {func(c *clientcredentials.Config) { c.ClientID = "nobody" }, "invalid_client"},
		"an app of people": {func(c *clientcredentials.Config) {
			c.ClientID, c.ClientSecret, c.AuthStyle = "app", "", oauth2.AuthStyleInParams
		}, "unauthorized_client"},
		"a scope of others":  {func(c *clientcredentials.Config) { c.Scopes = []string{"orders:write"} }, "invalid_scope"},
		"as if for somebody": {func(c *clientcredentials.Config) { c.Scopes = []string{"openid"} }, "invalid_scope"},
	} {
		token, err := ask(c.change)
		if c.want != "" {
			if !isWrong(err, c.want) {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
			continue
		}
		must(t, err)
		verified, err := p.provider.Verifier(&oidc.Config{ClientID: issuer}).Verify(p.ctx, token.AccessToken) // An access token is for the shop.
		must(t, err)
		var claims struct {
			ClientID string `json:"client_id"`
			Scope    string
			Roles    []string
		}
		must(t, verified.Claims(&claims))
		if verified.Subject != "nightly" || claims.ClientID != "nightly" || claims.Scope != "orders:read" || strings.Join(claims.Roles, " ") != "staff" {
			t.Errorf("%s: the token says %+v of %s", name, claims, verified.Subject)
		}
	}
	r, err := http.NewRequest(http.MethodPost, issuer+tokenPath, strings.NewReader("grant_type=client_credentials&client_secret=&scope="))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("nightly", url.QueryEscape(secret))
	if got := b.browser(t).look(t, r); got.status != http.StatusOK {
		t.Errorf("with parameters that are empty: %d %s", got.status, got.body)
	}
	// RFC 6749, section 2.3.1: both are encoded as in a form, so that each character can be in a secret.
	const odd = "plus + colon : percent % space, and ümlaut"
	b.app(t, func(r *identityv1.PutClientRequest) { nightly(r); r.Client.Id, r.Secret = "odd", odd })
	if _, err := ask(func(c *clientcredentials.Config) { c.ClientID, c.ClientSecret = "odd", odd }); err != nil {
		t.Errorf("a secret with odd characters: %v", err)
	}
	if rows := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.client WHERE secret_hash = convert_to($1, 'UTF8')", secret); rows != 0 {
		t.Error("a secret is kept as it is")
	}
}

func TestWrongClients(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, change := range map[string]func(*identityv1.PutClientRequest){
		"a page without TLS":       func(r *identityv1.PutClientRequest) { r.Client.RedirectUris = []string{"http://app.example/callback"} },
		"a script":                 func(r *identityv1.PutClientRequest) { r.Client.RedirectUris = []string{"javascript:alert(1)"} },
		"a fragment":               func(r *identityv1.PutClientRequest) { r.Client.RedirectUris = []string{callback + "#x"} },
		"a user":                   func(r *identityv1.PutClientRequest) { r.Client.RedirectUris = []string{"https://u@app.example/"} },
		"a person's id":            func(r *identityv1.PutClientRequest) { r.Client.Id = "usr_01a1fdad074278e680c5e4fa22541122" },
		"a guest's id":             func(r *identityv1.PutClientRequest) { r.Client.Id = "gst_app" },
		"a short secret":           func(r *identityv1.PutClientRequest) { nightly(r); r.Secret = "hunter2" },
		"no secret":                func(r *identityv1.PutClientRequest) { nightly(r); r.Secret = "" },
		"a secret in a browser":    func(r *identityv1.PutClientRequest) { r.Secret = secret },
		"roles in a browser":       func(r *identityv1.PutClientRequest) { r.Client.Roles = []string{"admin"} },
		"a role that nobody knows": func(r *identityv1.PutClientRequest) { nightly(r); r.Client.Roles = []string{"root"} },
	} {
		r := &identityv1.PutClientRequest{Client: &identityv1.Client{Id: "app", Name: "App", RedirectUris: []string{callback}}}
		change(r)
		if _, err := b.clients.PutClient(moduletest.As(t, ""), r); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v, want invalid argument", name, err)
		}
	}
	b.app(t, nightly)
	b.app(t, func(r *identityv1.PutClientRequest) { nightly(r); r.Secret, r.Client.Name = "", "Renamed" }) // It keeps its secret.
	listed, err := b.clients.ListClients(moduletest.As(t, ""), &identityv1.ListClientsRequest{})
	must(t, err)
	if len(listed.GetClients()) != 1 || listed.GetClients()[0].GetName() != "Renamed" || !listed.GetClients()[0].GetConfidential() {
		t.Errorf("there are %v", listed.GetClients())
	}
}

func TestLoopbackHasAnyPort(t *testing.T) {
	t.Parallel()
	c := client{redirectURIs: []string{"http://127.0.0.1/callback", "http://[::1]:80/callback", "http://localhost:3000/callback"}}
	for uri, want := range map[string]bool{
		"http://127.0.0.1:51234/callback": true, "http://[::1]:51234/callback": true, "http://localhost:3000/callback": true,
		"http://localhost:51234/callback": false, "http://127.0.0.1:51234/other": false, "http://127.0.0.2:51234/callback": false,
		"https://127.0.0.1:51234/callback": false, "http://u@127.0.0.1:51234/callback": false, "http://127.0.0.1:51234/callback?x=y": false,
	} {
		if got := c.leadsBack(uri); got != want {
			t.Errorf("%s: %t, want %t", uri, got, want)
		}
	}
}

// A client asks whether its tokens are good, and ends them; those of others are none of its business.
func TestIntrospectionAndRevocation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	web := func(r *identityv1.PutClientRequest) { r.Client.Confidential, r.Secret = true, secret }
	b.app(t, web)
	b.app(t, nightly)
	jane := b.jane(t)
	p := b.party(t, "offline_access")
	p.config.ClientSecret = secret
	token := p.tokens(t, jane)
	ask := func(path, client, tokenText string) seen {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+path, strings.NewReader(url.Values{"token": {tokenText}}.Encode()))
		must(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(client, url.QueryEscape(secret))
		return b.browser(t).look(t, r)
	}
	active := func(client, tokenText string) bool {
		t.Helper()
		got := ask(introspectionPath, client, tokenText)
		is, ok := jsonOf(t, got.body)["active"].(bool)
		if got.status != http.StatusOK || !ok {
			t.Fatalf("introspection: %d %s", got.status, got.body)
		}
		return is
	}
	if got := jsonOf(t, ask(introspectionPath, "app", token.AccessToken).body); got["sub"] != b.id(t) || got["scope"] != "offline_access openid" || got["client_id"] != "app" {
		t.Errorf("an access token is %v", got)
	}
	for name, c := range map[string]struct {
		client, token string
		want          bool
	}{
		"refresh": {"app", token.RefreshToken, true}, "of another": {"nightly", token.AccessToken, false}, "refresh of another": {"nightly", token.RefreshToken, false},
		"none": {"app", "", false}, "rubbish": {"app", "a.b.c", false}, "changed": {"app", token.AccessToken[:len(token.AccessToken)-8] + "AAAAAAAA", false},
		"an ID token": {"app", token.Extra("id_token").(string), false},
	} {
		if got := active(c.client, c.token); got != c.want {
			t.Errorf("%s: active %t, want %t", name, got, c.want)
		}
	}
	// A resource server asks about everybody's access tokens, and ends none.
	b.app(t, func(r *identityv1.PutClientRequest) {
		nightly(r)
		r.Client.Id, r.Client.Roles, r.Client.Scopes = "warehouse", nil, []string{"tokens:introspect"}
	})
	if got := jsonOf(t, ask(introspectionPath, "warehouse", token.AccessToken).body); got["active"] != true || got["client_id"] != "app" || got["sub"] != b.id(t) {
		t.Errorf("a resource server learns %v", got)
	}
	if active("warehouse", token.RefreshToken) {
		t.Error("a resource server learns of a refresh token of others")
	}
	if got := ask(revocationPath, "warehouse", token.AccessToken); got.status != http.StatusOK || !active("app", token.AccessToken) {
		t.Errorf("a resource server revokes: %d", got.status)
	}
	if got := ask(revocationPath, "nightly", token.RefreshToken); got.status != http.StatusOK || !active("app", token.AccessToken) {
		t.Errorf("another client revokes: %d", got.status)
	}
	if got := ask(revocationPath, "app", token.RefreshToken); got.status != http.StatusOK || active("app", token.AccessToken) || active("app", token.RefreshToken) {
		t.Errorf("the client revokes: %d, and the tokens are good", got.status)
	}
	if got := ask(introspectionPath, "nobody", token.AccessToken); got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("nobody introspects: %d %v", got.status, got.header)
	}
}

// What people have not allowed they are asked, once; who says no is led back without a code.
func TestConsent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t, func(r *identityv1.PutClientRequest) { r.Client.Trusted, r.Client.Name = false, `<b>"Evil"</b> & Sons` })
	jane := b.jane(t)
	p := b.party(t, "email")
	asked := jane.get(t, p.url())
	if asked.location != nil || strings.Contains(asked.body, "<b>") || !strings.Contains(asked.body, texts["en"]["scope email"]) {
		t.Fatalf("she is not asked, or not well: %d %s", asked.status, asked.body)
	}
	if policy := asked.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https:;") {
		t.Errorf("the policy is %s", policy)
	}
	denied := jane.submit(t, asked, authorizePath, url.Values{"decision": {"deny"}})
	if denied.location == nil || denied.location.Query().Get("error") != "access_denied" || denied.location.Query().Has("code") {
		t.Errorf("she says no and is led to %v", denied.location)
	}
	if got := jane.get(t, p.url(oauth2.SetAuthURLParam("prompt", "none"))); got.location == nil || got.location.Query().Get("error") != "consent_required" {
		t.Errorf("she may not be asked and is led to %v", got.location)
	}
	allowed := jane.submit(t, asked, authorizePath, url.Values{"decision": {"allow"}})
	if allowed.location == nil || !allowed.location.Query().Has("code") {
		t.Fatalf("she says yes and is led to %v", allowed.location)
	}
	p.code(t, jane) // She is not asked again
	more := b.party(t, "email", "orders:read")
	if got := jane.get(t, more.url()); got.location != nil { // but for more.
		t.Errorf("for more she is led to %v", got.location)
	}
	if got := jane.submit(t, jane.get(t, b.party(t, "profile").url()), authorizePath, url.Values{"decision": {"allow"}}); got.location == nil {
		t.Errorf("she allows something else: %d", got.status)
	}
	p.code(t, jane) // What she has allowed before she still does.
	forged := b.browser(t)
	forged.Jar = jane.Jar
	for name, form := range map[string]string{"no token": "", "another token": strings.Repeat("A", 43)} {
		got := forged.post(t, authorizePath, url.Values{"decision": {"allow"}, "request": {p.url()[strings.Index(p.url(), "?")+1:]}, "form": {form}})
		if got.status != http.StatusForbidden || got.location != nil {
			t.Errorf("%s in a form: %d, led to %v", name, got.status, got.location)
		}
	}
	b.Exec(t, "DELETE FROM identity.consent")
	p.config.Scopes = nil
	for range 2 { // She can be asked again, also for nothing.
		page := jane.get(t, p.url(oauth2.SetAuthURLParam("prompt", "consent")))
		if got := jane.submit(t, page, authorizePath, url.Values{"decision": {"allow"}}); got.location == nil || !got.location.Query().Has("code") {
			t.Errorf("for no scopes she says yes: %d, led to %v", got.status, got.location)
		}
	}
}

// Keys are published before they sign, and for as long as what they have signed is good. No token fails on the way.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	p := b.party(t)
	verifier := p.provider.VerifierContext(p.ctx, &oidc.Config{ClientID: "app"})
	keyIDs := func() []string {
		return moduletest.Query[string](t, b.House, "SELECT id FROM identity.signing_key ORDER BY id")
	}
	first := p.tokens(t, jane)
	s := &service{store: storeOf(b)}
	must(t, s.rotateKeys(t.Context()))
	if len(keyIDs()) != 1 {
		t.Fatalf("there are the keys %v, want the first one", keyIDs())
	}
	b.Exec(t, "UPDATE identity.signing_key SET use_time = use_time - interval '31 days'")
	must(t, s.rotateKeys(t.Context()))
	must(t, s.rotateKeys(t.Context()))
	all := keyIDs()
	if len(all) != 2 {
		t.Fatalf("there are the keys %v, want a second one", all)
	}
	for range 2 {
		token := p.tokens(t, jane)
		for _, raw := range []any{first.Extra("id_token"), token.Extra("id_token")} {
			_, err := verifier.Verify(p.ctx, raw.(string))
			must(t, err)
		}
		if now := keyOf(t, token.AccessToken); now != all[0] {
			t.Fatalf("signed with %s, want %s", now, all[0])
		}
	}
	b.Exec(t, "UPDATE identity.signing_key SET use_time = now() WHERE id = $1", all[1])
	must(t, s.rotateKeys(t.Context()))
	token := p.tokens(t, jane)
	if now := keyOf(t, token.AccessToken); now != all[1] || len(keyIDs()) != 2 {
		t.Errorf("signed with %s of %v, want %s", now, keyIDs(), all[1])
	}
	_, err := p.provider.UserInfo(p.ctx, oauth2.StaticTokenSource(first))
	must(t, err)
	b.Exec(t, "UPDATE identity.signing_key SET use_time = now() - interval '2 hours' WHERE id = $1", all[1])
	must(t, s.rotateKeys(t.Context()))
	if left := keyIDs(); len(left) != 1 || left[0] != all[1] {
		t.Errorf("there are the keys %v, want %s", left, all[1])
	}
	if _, err := p.provider.UserInfo(p.ctx, oauth2.StaticTokenSource(first)); err == nil {
		t.Error("a token is good whose key is gone")
	}
}
