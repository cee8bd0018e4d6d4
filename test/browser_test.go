package test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/cleave-go/cleave/platform/browsertest"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// TestPagesOfTheShop has somebody sign in in a real browser, and a page of the shop call in her name with nothing but the cookie, which it
// never sees. Pages of other origins try the same. In one process, and with identity apart from the edge.
func TestPagesOfTheShop(t *testing.T) {
	binaries := topology.NewBinaries(t)
	for _, layout := range []house.Layout{house.AllInOne, house.AllApart} {
		t.Run(layout.Name, func(t *testing.T) {
			t.Parallel()
			addr := topology.Reserve(t)
			front := httptest.NewServer(frontOf(addr))
			t.Cleanup(front.Close)
			s := layout.Open(t, binaries, house.Options{Env: map[string]string{
				"CLEAVE_PUBLIC_ADDR": addr, "CLEAVE_IDENTITY_ISSUER": front.URL, "CLEAVE_OIDC_ISSUER": front.URL, "CLEAVE_OIDC_AUDIENCE": front.URL,
				"CLEAVE_TRUSTED_PROXIES": "127.0.0.1",
			}})
			pagesOfTheShop(t, s, front.URL)
		})
	}
}

// frontOf is what stands before a shop: it serves a page of its own, and leads everything else to the edge.
func frontOf(edge string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: edge})
		r.SetXForwarded()
	}})
	mux.HandleFunc("GET /shop", func(w http.ResponseWriter, _ *http.Request) { writePage(w, "Shop", "") })
	return mux
}

func writePage(w http.ResponseWriter, title, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, `<!doctype html><html lang="en"><title>`+title+`</title><link rel="icon" href="data:,"><main><h1>`+title+`</h1>`+body+`</main>`)
}

const newAddress = `{"requestId":"%s","address":{"name":"Jane","lines":["Main Street 1"],"city":"Springfield","country":"DE"}}`

func pagesOfTheShop(t *testing.T, s *shop, origin string) {
	const email, password = "jane@example.com", "correct horse battery staple"
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, &http.Client{Jar: jar}, origin+"/register", url.Values{"email": {email}})
	fill(t, &http.Client{Jar: jar}, link(t, s, origin), url.Values{"password": {password}})

	browser := browsertest.Start(t)
	tab := browser.Open(t, origin+"/shop")
	// call calls as a page does, and returns the status and the answer.
	call := func(page *browsertest.Page, verb, url, body, more string) (answer struct {
		Status int
		Body   string
	}) {
		t.Helper()
		script := `fetch(` + quoted(url) + `, {method: ` + quoted(verb) + more
		if body != "" {
			script += `, headers: {"Content-Type": "application/json"}, body: ` + quoted(body)
		}
		script += `}).then(async r => ({Status: r.status, Body: await r.text()})).catch(e => ({Status: 0, Body: String(e)}))`
		return browsertest.Evaluate[struct {
			Status int
			Body   string
		}](t, page, script)
	}
	if got := call(tab, "GET", "/v1/account", "", ""); got.Status != 401 || !strings.Contains(got.Body, "SIGN_IN") {
		t.Errorf("before she has signed in: %+v", got)
	}
	tab.Do(t, chromedp.Navigate(origin+"/signin?continue=/shop"), chromedp.SendKeys("#email", email), chromedp.SendKeys("#password", password),
		chromedp.ActionFunc(func(ctx context.Context) error {
			_, err := chromedp.RunResponse(ctx, chromedp.Click("main button"))
			return err
		}))
	if got := browsertest.Evaluate[string](t, tab, "document.title + ' ' + document.cookie"); got != "Shop " {
		t.Fatalf("she is led to %q, with cookies that the page sees", got)
	}
	if got := call(tab, "GET", "/v1/account", "", ""); got.Status != 200 || !strings.Contains(got.Body, email) {
		t.Errorf("her account: %+v", got)
	}
	if got := call(tab, "POST", "/v1/addresses", strings.Replace(newAddress, "%s", "hers", 1), ""); got.Status != 201 {
		t.Errorf("an address: %+v", got)
	}
	if got := call(tab, "POST", "/cleave.identity.v1.AccountService/GetAccount", "{}", ""); got.Status != 200 || !strings.Contains(got.Body, email) {
		t.Errorf("her account over Connect: %+v", got)
	}

	t.Run("other origins", func(t *testing.T) { otherOrigins(t, browser, origin) })
	if got := call(tab, "GET", "/v1/addresses", "", ""); got.Status != 200 || strings.Count(got.Body, `"adr_`) != 1 {
		t.Errorf("her addresses: %+v", got)
	}

	// She ends it elsewhere. The page learns that within five seconds, and the browser goes on as nobody.
	sessions := call(tab, "GET", "/v1/sessions", "", "")
	_, after, found := strings.Cut(sessions.Body, `"id":"`)
	if !found {
		t.Fatalf("where she is signed in: %+v", sessions)
	}
	sessionID, _, _ := strings.Cut(after, `"`)
	if got := call(tab, "DELETE", "/v1/sessions/"+sessionID+"?requestId=end", "", ""); got.Status != 200 {
		t.Fatalf("she ends it: %+v", got)
	}
	ended := time.Now()
	for {
		asked := time.Now()
		got := call(tab, "GET", "/v1/account", "", "")
		if got.Status == 401 {
			if !strings.Contains(got.Body, "SESSION_ENDED") {
				t.Errorf("after its end: %+v", got)
			}
			break
		}
		if asked.Sub(ended) > 5*time.Second {
			t.Fatalf("%v after its end: %+v", asked.Sub(ended), got)
		}
	}
	if got := call(tab, "GET", "/v1/account", "", ""); got.Status != 401 || !strings.Contains(got.Body, "SIGN_IN") {
		t.Errorf("as nobody: %+v", got)
	}
	if logs := s.Logs(); strings.Contains(logs, "cleave_session") || strings.Contains(logs, email) {
		t.Error("the logs tell of her cookie or her address")
	}
}

// otherOrigins has pages elsewhere send what the page of the shop sends: one of the same site, whose requests have her cookie, and one of another.
func otherOrigins(t *testing.T, browser *browsertest.Browser, origin string) {
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writePage(w, "Evil", `<form method="post" enctype="text/plain" action="`+origin+`/v1/addresses"><input name='{"requestId":"form","address":{"name":"`+
			`' value='","lines":["x"],"city":"x","country":"DE"}}'><button>Win</button></form>`)
	}))
	t.Cleanup(evil.Close)
	body := quoted(strings.Replace(newAddress, "%s", "theirs", 1))
	for name, address := range map[string]string{"the same site": evil.URL, "another site": strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} {
		page := browser.Open(t, address)
		for what, options := range map[string]string{
			"JSON":             `method: "POST", headers: {"Content-Type": "application/json"}, body: ` + body,
			"text":             `method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body: ` + body,
			"what has no type": `method: "POST", mode: "no-cors", body: new Blob([` + body + `])`,
		} {
			// What it learns: that the browser does not show it the answer.
			got := browsertest.Evaluate[string](t, page, `fetch("`+origin+`/v1/addresses", {credentials: "include", `+options+`}).then(r => r.type + r.status).catch(e => "refused")`)
			if got != "refused" && got != "opaque0" {
				t.Errorf("%s of %s: got %s", what, name, got)
			}
		}
		if got := browsertest.Evaluate[string](t, page, `fetch("`+origin+`/v1/account", {credentials: "include"}).then(r => r.text()).catch(e => "refused")`); got != "refused" {
			t.Errorf("%s reads %s", name, got)
		}
		page.Do(t, chromedp.ActionFunc(func(ctx context.Context) error {
			response, err := chromedp.RunResponse(ctx, chromedp.Click("button"))
			if err == nil && response.Status < 400 {
				t.Errorf("a form of %s got %d", name, response.Status)
			}
			return err
		}))
	}
}

// quoted returns a text as JavaScript writes it.
func quoted(text string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`", "$", "\\$").Replace(text) + "`"
}
