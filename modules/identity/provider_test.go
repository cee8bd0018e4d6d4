package identity

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// Somebody registers, signs in at an app, and the app learns who it is: by libraries that know nothing of us.
func TestAppLearnsWhoSignedIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	p := b.party(t, "email", "profile", "orders:read")
	jane := b.browser(t)
	b.register(t, jane, "Jane@Example.com")

	// She is led to the sign-in and, when she has, to the app.
	page := jane.get(t, p.url())
	if !strings.Contains(page.body, `name="password"`) {
		t.Fatalf("she is not asked to sign in: %d %s", page.status, page.body)
	}
	back := jane.submit(t, page, signInPath, url.Values{"email": {email}, "password": {password}})
	if back.location == nil || !strings.HasPrefix(back.location.String(), callback) {
		t.Fatalf("she is not led back: %d %s", back.status, back.body)
	}
	token, err := p.redeem(back.location.Query().Get("code"))
	must(t, err)

	raw, _ := token.Extra("id_token").(string)
	idToken, err := p.provider.Verifier(&oidc.Config{ClientID: "app"}).Verify(p.ctx, raw)
	must(t, err)
	must(t, idToken.VerifyAccessToken(token.AccessToken))
	var claims struct {
		Email    string
		Verified bool `json:"email_verified"`
		Name     string
		AuthTime int64 `json:"auth_time"`
	}
	must(t, idToken.Claims(&claims))
	if idToken.Subject != b.id(t) || idToken.Nonce != "the nonce" || claims.Email != email || claims.Name != "Jane Doe" || claims.AuthTime == 0 {
		t.Errorf("the app learns %+v, %+v", idToken, claims)
	}
	info, err := p.provider.UserInfo(p.ctx, oauth2.StaticTokenSource(token))
	must(t, err)
	if info.Subject != idToken.Subject || info.Email != email {
		t.Errorf("userinfo tells %+v", info)
	}
	if token.RefreshToken != "" {
		t.Error("the app may stay signed in without having asked for it")
	}
	answer, err := b.client.GetAccount(moduletest.As(t, idToken.Subject, "customer"), &identityv1.GetAccountRequest{})
	must(t, err)
	if a := answer.GetAccount(); a.GetEmail() != email || a.GetState() != identityv1.AccountState_ACCOUNT_STATE_ACTIVE || !slices.Equal(a.GetRoles(), []string{"customer"}) {
		t.Errorf("her account is %v", a)
	}
}

// What is wrong with a request is told to the client, unless it may not be the client that is led to.
func TestWrongAuthorizations(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	p := b.party(t)
	set := oauth2.SetAuthURLParam
	for name, c := range map[string]struct {
		option oauth2.AuthCodeOption
		want   string // The error, or "" for a page.
	}{
		"plain":                  {set("code_challenge_method", "plain"), "invalid_request"},
		"no method":              {set("code_challenge_method", ""), "invalid_request"},
		"no challenge":           {set("code_challenge", ""), "invalid_request"},
		"a short challenge":      {set("code_challenge", "abc"), "invalid_request"},
		"a token at once":        {set("response_type", "token"), "unsupported_response_type"},
		"hybrid":                 {set("response_type", "code id_token"), "unsupported_response_type"},
		"fragment":               {set("response_mode", "fragment"), "invalid_request"},
		"a scope of others":      {set("scope", "openid payments:admin"), "invalid_scope"},
		"a request object":       {set("request", "eyJ"), "request_not_supported"},
		"another client":         {set("client_id", "evil"), ""},
		"another place":          {set("redirect_uri", "https://evil.example/callback"), ""},
		"a longer path":          {set("redirect_uri", callback+"/more"), ""},
		"a query":                {set("redirect_uri", callback+"?x=y"), ""},
		"a user in front":        {set("redirect_uri", "https://app.example@evil.example/callback"), ""},
		"another scheme":         {set("redirect_uri", strings.Replace(callback, "https", "http", 1)), ""},
		"capitals":               {set("redirect_uri", strings.ToUpper(callback)), ""},
		"dots":                   {set("redirect_uri", callback+"/../callback"), ""},
		"nowhere":                {set("redirect_uri", ""), ""},
		"an age that is none":    {set("max_age", "soon"), "invalid_request"},
		"none and something":     {set("prompt", "none login"), "invalid_request"},
		"signed in again, alone": {set("prompt", "login"), "page"},
	} {
		got := jane.get(t, p.url(c.option))
		switch {
		case c.want == "page":
			if !strings.Contains(got.body, `name="password"`) {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
		case c.want == "":
			if got.status != http.StatusBadRequest || got.location != nil {
				t.Errorf("%s: %d, led to %v", name, got.status, got.location)
			}
		case got.location == nil || got.location.Query().Get("error") != c.want || got.location.Query().Get("state") != "the state" || got.location.Query().Get("iss") != issuer:
			t.Errorf("%s: %d, led to %v, want %s", name, got.status, got.location, c.want)
		}
	}
	if got := jane.get(t, p.url()+"&client_id=app"); got.status != http.StatusBadRequest {
		t.Errorf("two clients: %d", got.status)
	}
	if got := b.browser(t).get(t, p.url(set("prompt", "none"))); got.location == nil || got.location.Query().Get("error") != "login_required" {
		t.Errorf("nobody is signed in, and nobody may be asked: %v", got.location)
	}
}

// No app gets a code from a session that ends at this moment: she is led to the sign-in.
func TestEndedSessionGrantsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	at, err := url.Parse(b.party(t).url())
	must(t, err)
	w := newWeb(&service{store: storeOf(b), issuer: issuer})
	a, err := w.parseAuthorization(t.Context(), at.RawQuery)
	must(t, err)
	var who session
	for _, c := range jane.Jar.Cookies(at) {
		if c.Name == sessionCookie {
			who, _, err = w.findSession(t.Context(), c.Value)
			must(t, err)
		}
	}
	b.Exec(t, "DELETE FROM identity.session")
	out := httptest.NewRecorder()
	must(t, w.grant(out, httptest.NewRequestWithContext(t.Context(), http.MethodGet, at.String(), nil), a, who))
	if to := out.Header().Get("Location"); who.id == "" || !strings.HasPrefix(to, signInPath+"?continue=") {
		t.Errorf("session %q is led to %s", who.id, to)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT (SELECT count(*) FROM identity.family) + (SELECT count(*) FROM identity.code)"); n != 0 {
		t.Errorf("%d families and codes are there", n)
	}
}

// A code is good once, for the client that it was given to, at the URI that it was sent to, with the verifier.
func TestCodeIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	b.app(t, func(r *identityv1.PutClientRequest) { r.Client.Id = "other" })
	jane := b.jane(t)
	p := b.party(t, "offline_access")
	for name, change := range map[string]func(*party){
		"another client":   func(p *party) { p.config.ClientID = "other" },
		"another verifier": func(p *party) { p.verifier = oauth2.GenerateVerifier() },
		"no verifier":      func(p *party) { p.verifier = "" },
		"another place":    func(p *party) { p.config.RedirectURL += "/x" },
	} {
		code := p.code(t, jane)
		wrong := *p
		change(&wrong)
		if _, err := wrong.redeem(code); !isWrong(err, "invalid_grant") {
			t.Errorf("%s: %v", name, err)
		}
	}

	// Many at once.
	code := p.code(t, jane)
	var mu sync.Mutex
	var given []*oauth2.Token
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			token, err := p.redeem(code)
			if err != nil && !isWrong(err, "invalid_grant") {
				t.Error(err)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				given = append(given, token)
			}
		})
	}
	all.Wait()
	if len(given) > 1 {
		t.Fatalf("%d clients got tokens for one code", len(given))
	}
	// The code was shown again, so what the first got is worth nothing.
	if len(given) == 1 {
		if _, err := p.config.TokenSource(p.ctx, &oauth2.Token{RefreshToken: given[0].RefreshToken}).Token(); !isWrong(err, "invalid_grant") {
			t.Errorf("after the code was shown again: %v", err)
		}
	}
	if moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.audit WHERE event = 'code_reused'") == 0 {
		t.Error("nobody has written down that a code was shown again")
	}
	late := p.code(t, jane)
	b.Exec(t, "UPDATE identity.code SET expire_time = now()")
	if _, err := p.redeem(late); !isWrong(err, "invalid_grant") {
		t.Errorf("a code that has expired: %v", err)
	}
}

// An app that wants a fresh sign-in gets one, and people who have just signed in are not asked again. What counts is the database's clock.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	p := b.party(t)
	aged := func(seconds string) seen { return jane.get(t, p.url(oauth2.SetAuthURLParam("max_age", seconds))) }
	b.Exec(t, "UPDATE identity.session SET create_time = now() - interval '100 seconds'")
	if got := aged("1000"); got.location == nil || !got.location.Query().Has("code") {
		t.Errorf("she has signed in recently enough: %d %s", got.status, got.body)
	}
	if got := jane.get(t, p.url(oauth2.SetAuthURLParam("max_age", "99"), oauth2.SetAuthURLParam("prompt", "none"))); got.location == nil || got.location.Query().Get("error") != "login_required" {
		t.Errorf("she may not be asked and is led to %v", got.location)
	}
	for _, seconds := range []string{"99", "0"} {
		b.Exec(t, "UPDATE identity.session SET create_time = now() - interval '100 seconds'")
		page := aged(seconds)
		if page.location != nil || !strings.Contains(page.body, `name="password"`) {
			t.Fatalf("max_age=%s: %d, led to %v", seconds, page.status, page.location)
		}
		if got := jane.submit(t, page, signInPath, url.Values{"email": {email}, "password": {password}}); got.location == nil || !got.location.Query().Has("code") {
			t.Errorf("max_age=%s, and she signs in: %d %s", seconds, got.status, got.body)
		}
	}
	b.Exec(t, "UPDATE identity.session SET create_time = now() + interval '10 minutes'") // That of a replica which is ahead, or before the clock was set.
	if got := aged("99"); got.location == nil {
		t.Errorf("she has signed in at a time that is to come: %d", got.status)
	}
}

// An app says which language its people understand. Who has signed in has said so himself.
func TestLocales(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t, func(r *identityv1.PutClientRequest) { r.Client.Trusted = false })
	jane := b.jane(t)
	p := b.party(t)
	for asked, want := range map[string]string{"de": "de", "fr de-CH en": "de", "en de": "en", "fr": "en", "tlh;q=x,": "en", "": "en", strings.Repeat("de ", 100): "en"} {
		link := p.url(oauth2.SetAuthURLParam("ui_locales", asked))
		for name, at := range map[string]*browser{"nobody": b.browser(t), "Jane": jane} {
			if got := at.get(t, link); got.header.Get("Content-Language") != want {
				t.Errorf("%q for %s is answered in %s, want %s", asked, name, got.header.Get("Content-Language"), want)
			}
		}
	}
	at := b.browser(t)
	page := at.get(t, p.url(oauth2.SetAuthURLParam("ui_locales", "de")))
	next := hidden.FindAllStringSubmatch(page.body, -1)[1][2]
	mailed := at.submit(t, at.get(t, resetPath+"?"+url.Values{"continue": {strings.ReplaceAll(next, "&amp;", "&")}}.Encode()), resetPath, url.Values{"email": {email}})
	m := b.mail(t)
	if m.GetSubject() != texts["de"]["mail reset"] {
		t.Errorf("she is mailed %q", m.GetSubject())
	}
	link := inMail.FindString(m.GetText())
	for name, got := range map[string]seen{"it was sent": mailed, "a password is chosen": at.get(t, link), "that one is too short": at.choose(t, link, "short"), "it is chosen": at.choose(t, link, newer)} {
		if got.header.Get("Content-Language") != "de" {
			t.Errorf("that %s is told in %s", name, got.header.Get("Content-Language"))
		}
	}
	jane.signIn(t, email, newer)
	jane.change(t, "profile", url.Values{"language": {"en"}})
	if got := jane.get(t, p.url(oauth2.SetAuthURLParam("ui_locales", "de"))); got.header.Get("Content-Language") != "en" {
		t.Errorf("who wants English is asked in %s", got.header.Get("Content-Language"))
	}
}

// isWrong reports whether an error is one of the token endpoint.
func isWrong(err error, code string) bool {
	var wrong *oauth2.RetrieveError
	return errors.As(err, &wrong) && wrong.ErrorCode == code
}

// A refresh token is good once, and a little longer; who uses it later ends all that came of the sign-in.
func TestRefreshTokensRotate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	p := b.party(t, "offline_access")
	refresh := func(token string) (*oauth2.Token, error) {
		return p.config.TokenSource(p.ctx, &oauth2.Token{RefreshToken: token}).Token()
	}
	first := p.tokens(t, jane)
	second, err := refresh(first.RefreshToken)
	must(t, err)
	if second.RefreshToken == first.RefreshToken || second.AccessToken == first.AccessToken {
		t.Error("the tokens are the same as before")
	}
	again, err := refresh(first.RefreshToken) // The answer was lost.
	must(t, err)
	if again.RefreshToken == second.RefreshToken {
		t.Error("two answers have the same refresh token")
	}
	post := func(scope string) seen {
		return b.browser(t).post(t, tokenPath, url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {again.RefreshToken}, "scope": {scope}})
	}
	if got := post("openid orders:read"); got.status != http.StatusBadRequest || jsonOf(t, got.body)["error"] != "invalid_scope" {
		t.Errorf("a scope that she has not allowed: %d %s", got.status, got.body)
	}
	if spent := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.refresh_token WHERE redeem_time IS NOT NULL"); spent != 1 {
		t.Errorf("%d tokens are spent, want 1: a request that is refused spends none", spent)
	}
	if got := post(""); got.status != http.StatusOK || jsonOf(t, got.body)["scope"] != "offline_access openid" {
		t.Errorf("an empty scope: %d %s", got.status, got.body)
	}
	other := *p
	other.config.ClientID = "other"
	b.app(t, func(r *identityv1.PutClientRequest) { r.Client.Id = "other" })
	if _, err := other.config.TokenSource(p.ctx, &oauth2.Token{RefreshToken: second.RefreshToken}).Token(); !isWrong(err, "invalid_grant") {
		t.Errorf("another client: %v", err)
	}
	b.Exec(t, "UPDATE identity.refresh_token SET redeem_time = redeem_time - interval '31 seconds' WHERE redeem_time IS NOT NULL")
	if _, err := refresh(first.RefreshToken); !isWrong(err, "invalid_grant") {
		t.Errorf("a token is used again: %v", err)
	}
	if _, err := refresh(second.RefreshToken); !isWrong(err, "invalid_grant") {
		t.Errorf("its successor, after it was used again: %v", err)
	}
	if _, err := p.provider.UserInfo(p.ctx, oauth2.StaticTokenSource(second)); err == nil {
		t.Error("userinfo is told with an access token of a family that was ended")
	}

	// Within the grace window somebody else has used it as well as the client. As long as one of the two goes on, it can be a lost answer.
	for _, apart := range []bool{true, false} {
		stolen := p.tokens(t, jane)
		clients, err := refresh(stolen.RefreshToken)
		must(t, err)
		thiefs, err := refresh(stolen.RefreshToken)
		must(t, err)
		if apart {
			thiefs, err = refresh(thiefs.RefreshToken)
			must(t, err)
			if _, err := refresh(clients.RefreshToken); !isWrong(err, "invalid_grant") {
				t.Errorf("both go on, one after the other: %v", err)
			}
		} else {
			var all sync.WaitGroup
			var good atomic.Int32
			for _, token := range []string{clients.RefreshToken, thiefs.RefreshToken} {
				all.Go(func() {
					if _, err := refresh(token); err == nil {
						good.Add(1)
					} else if !isWrong(err, "invalid_grant") {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if good.Load() != 1 {
				t.Errorf("both go on at once, and %d get tokens", good.Load())
			}
		}
		if _, err := refresh(thiefs.RefreshToken); !isWrong(err, "invalid_grant") {
			t.Errorf("after both went on the thief does: %v", err)
		}
	}

	locked := p.tokens(t, jane)
	_, err = b.desk.LockAccount(moduletest.As(t, ""), &identityv1.LockAccountRequest{Id: b.id(t)})
	must(t, err)
	if _, err := refresh(locked.RefreshToken); !isWrong(err, "invalid_grant") {
		t.Errorf("of an account that is locked: %v", err)
	}
	if got := b.browser(t).signIn(t, email, password); got.status != http.StatusUnauthorized || !strings.Contains(got.body, texts["en"]["refused"]) {
		t.Errorf("an account that is locked signs in: %d %s", got.status, got.body)
	}
}
