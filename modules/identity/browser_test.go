package identity

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"golang.org/x/oauth2"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/browsertest"
)

// TestBrowser has somebody register, sign in at an app and sign out in a real browser, which holds the pages to their policy. Every page on
// the way can be used by everybody.
func TestBrowser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The app, and what it is called back with. It leads on to another origin of its own, which browsers hold the policy of a form against, too.
	welcome := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><main><h1>Welcome back</h1></main>`)
	}))
	t.Cleanup(welcome.Close)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, welcome.URL+"/?"+r.URL.RawQuery, http.StatusFound)
	}))
	t.Cleanup(app.Close)
	b.app(t, func(r *identityv1.PutClientRequest) {
		r.Client.Trusted, r.Client.RedirectUris = false, []string{app.URL + "/callback"}
	})
	p := b.party(t, "email")
	p.config.RedirectURL = app.URL + "/callback"
	at := func(link string) string { return "http://" + b.addr + strings.TrimPrefix(link, issuer) }

	tab := browsertest.Start(t).Open(t, at(p.url()))
	title := func(want string) {
		t.Helper()
		if got := browsertest.Evaluate[string](t, tab, "document.title"); got != want {
			t.Fatalf("the page is %q, want %q: %s, %q", got, want, browsertest.Evaluate[string](t, tab, "document.body.innerText"), tab.Complaints())
		}
		tab.CheckAccess(t)
	}
	// press presses a button or follows a link, and waits for the page that it leads to.
	press := func(button string) chromedp.Action {
		return chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := chromedp.RunResponse(ctx, chromedp.Click(button))
			return err
		})
	}
	said := texts["en"]
	title(said["sign_in"])
	tab.Do(t, press(`a[href^="/register"]`))
	title(said["register"])
	tab.Do(t, chromedp.SendKeys("#email", email), press("main button"))
	title(said["mailed"])
	tab.Do(t, chromedp.Navigate(at(b.link(t))))
	title(said["choose_password"])
	tab.Do(t, chromedp.SendKeys("#name", "Jane Doe"), chromedp.SendKeys("#password", password), press("main button"))
	title(said["sign_in"])
	tab.Do(t, chromedp.SendKeys("#password", "wrong password"), press("main button"))
	title(said["sign_in"])
	if got := browsertest.Evaluate[string](t, tab, `document.querySelector("[role=alert]").innerText`); got != said["refused"] {
		t.Errorf("a wrong password is told %q", got)
	}
	tab.Do(t, chromedp.SendKeys("#password", password), press("main button"))
	title(said["consent"])
	tab.Do(t, press(`button[value=allow]`))
	title("App")
	back, err := url.Parse(browsertest.Evaluate[string](t, tab, "location.href"))
	must(t, err)
	if back.Query().Get("state") != "the state" || back.Query().Get("iss") != issuer {
		t.Fatalf("she is led to %s", back)
	}
	token, err := p.config.Exchange(p.ctx, back.Query().Get("code"), oauth2.VerifierOption(p.verifier))
	must(t, err)
	if token.Extra("id_token") == nil {
		t.Error("the app does not learn who she is")
	}

	tab.Do(t, chromedp.Navigate(at(devicesPath)))
	title(said["devices"])
	tab.Do(t, press(`a[href="/account"]`))
	title(said["account"])
	tab.Do(t, chromedp.SendKeys("#old-password", password), chromedp.SendKeys("#new-password", newer), press(`input[value=password] ~ button`))
	title(said["account"])
	if got := browsertest.Evaluate[string](t, tab, `document.querySelector("[role=status]").innerText`); got != said["password_changed"] {
		t.Errorf("another password is answered with %q", got)
	}
	tab.Do(t, chromedp.SendKeys("#email", "jane.doe@example.org"), chromedp.SendKeys("#email-password", newer), press(`input[value=email] ~ button`))
	title(said["mailed"])
	tab.Do(t, chromedp.Navigate(at(b.link(t))))
	title(said["confirm_email"])
	tab.Do(t, press("main button"))
	title(said["account"])
	tab.Do(t, chromedp.SetValue("#language", "de"), press(`input[value=profile] ~ button`))
	title(texts["de"]["account"])
	tab.Do(t, chromedp.SetValue("#language", ""), press(`input[value=profile] ~ button`))
	title(said["account"])
	tab.Do(t, chromedp.Navigate(at(signOutPath)))
	title(said["sign_out"])
	tab.Do(t, press("main button"))
	title(said["signed_out"])
	tab.Do(t, chromedp.Navigate(at("/oauth/authorize?client_id=nobody")))
	title(said["wrong"])
	for _, complaint := range tab.Complaints() {
		// The browser tells of answers with an error, which these are.
		if !strings.Contains(complaint, "the server responded with a status of 4") {
			t.Errorf("the browser complains: %s", complaint)
		}
	}
	if scripts := browsertest.Evaluate[int](t, tab, "document.scripts.length"); scripts != 0 {
		t.Errorf("the page has %d scripts", scripts)
	}
}
