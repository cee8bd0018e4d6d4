package identity

import (
	"crypto/sha256"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1cleave"
	"github.com/cleave-go/cleave/platform/moduletest"
)

// here makes a request as a page of the shop's own origin does.
func (b *browser) here(t *testing.T, verb, path, body string) seen {
	t.Helper()
	r, err := http.NewRequest(verb, issuer+path, strings.NewReader(body))
	must(t, err)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return b.look(t, r)
}

// TestSessionAtTheEdge holds that a page of the shop calls in the name of who is signed in at the browser, and meets what is hers and nothing
// of others.
func TestSessionAtTheEdge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	jane := b.jane(t)
	const address = `{"requestId": "1", "address": {"name": "Jane Doe", "lines": ["Main Street 1"], "city": "Springfield", "country": "DE"}}`
	if got := jane.here(t, "GET", "/v1/account", ""); got.status != 200 || !strings.Contains(got.body, b.id(t)) {
		t.Errorf("her account: %d %s", got.status, got.body)
	}
	made := jane.here(t, "POST", "/v1/addresses", address)
	if made.status != 201 {
		t.Fatalf("an address: %d %s", made.status, made.body)
	}
	addressID, _ := jsonOf(t, made.body)["address"].(map[string]any)["id"].(string)

	john := b.browser(t)
	b.register(t, john, "john@example.com")
	john.signIn(t, "john@example.com", password)
	if got := john.here(t, "DELETE", "/v1/addresses/"+addressID+"?requestId=2", ""); got.status != 404 {
		t.Errorf("John removes her address: %d %s", got.status, got.body)
	}
	if got := john.here(t, "GET", "/v1/addresses", ""); got.status != 200 || strings.Contains(got.body, addressID) {
		t.Errorf("John's addresses: %d %s", got.status, got.body)
	}
	if got := b.browser(t).here(t, "GET", "/v1/account", ""); got.status != 401 || !strings.Contains(got.body, "SIGN_IN") {
		t.Errorf("nobody's account: %d %s", got.status, got.body)
	}
}

// TestReadSession holds what the edge learns of a cookie: who is signed in, with the roles of this moment, and nobody once that has ended,
// however it has; and that no other module learns it.
func TestReadSession(t *testing.T) {
	t.Parallel()
	b := setup(t)
	edge := identityv1cleave.NewBrowserServiceClient(b.Caller("edge", identityv1cleave.BrowserService))
	read := func(at *browser) (subject string, roles []string) {
		t.Helper()
		origin, err := url.Parse(issuer)
		must(t, err)
		for _, cookie := range at.Jar.Cookies(origin) {
			if cookie.Name == sessionCookie {
				sum := sha256.Sum256([]byte(cookie.Value))
				answer, err := edge.ReadSession(moduletest.As(t, ""), &identityv1.ReadSessionRequest{Hash: sum[:]})
				must(t, err)
				if got := answer.GetSession(); got.GetIssuer() == issuer {
					return got.GetSubject(), got.GetRoles()
				}
				t.Fatalf("it is of %v", answer)
			}
		}
		t.Fatal("there is no cookie")
		return "", nil
	}
	jane := b.jane(t)
	id := b.id(t)
	if subject, roles := read(jane); subject != id || len(roles) != 1 || roles[0] != "customer" {
		t.Errorf("Jane is %s %v", subject, roles)
	}
	_, err := b.desk.SetRoles(moduletest.As(t, ""), &identityv1.SetRolesRequest{Id: id, Roles: []string{"staff"}})
	must(t, err)
	if _, roles := read(jane); len(roles) != 1 || roles[0] != "staff" {
		t.Errorf("with another role she has %v", roles)
	}
	for name, end := range map[string]func(){
		"it has expired":    func() { b.Exec(t, "UPDATE identity.session SET expire_time = now() WHERE account_id = $1", id) },
		"she is signed out": func() { b.Exec(t, "DELETE FROM identity.session WHERE account_id = $1", id) },
		"she is locked": func() {
			_, err := b.desk.LockAccount(moduletest.As(t, ""), &identityv1.LockAccountRequest{Id: id})
			must(t, err)
		},
	} {
		b.Exec(t, "UPDATE identity.account SET state = 'active' WHERE id = $1", id)
		jane.signIn(t, email, password)
		if subject, _ := read(jane); subject != id {
			t.Fatalf("before %s: %q", name, subject)
		}
		end()
		if subject, roles := read(jane); subject != "" || roles != nil {
			t.Errorf("%s: %q %v", name, subject, roles)
		}
	}
	b.Exec(t, "UPDATE identity.account SET state = 'active' WHERE id = $1", id)
	jane.signIn(t, email, password)
	if _, err := b.desk.ErasePerson(moduletest.As(t, ""), &identityv1.ErasePersonRequest{Subject: id}); err != nil {
		t.Fatal(err)
	}
	if subject, roles := read(jane); subject != "" || roles != nil {
		t.Errorf("she has been erased: %q %v", subject, roles)
	}
	orders := identityv1cleave.NewBrowserServiceClient(b.Caller("orders", identityv1cleave.BrowserService))
	if _, err := orders.ReadSession(moduletest.As(t, ""), &identityv1.ReadSessionRequest{Hash: make([]byte, 32)}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("another module asks: %v", err)
	}
}

// TestPostedAuthorization holds that a client may post its request, from its own pages, and that nothing comes of that but the same request got:
// the answer to the page that asks for leave is still taken from that page alone.
func TestPostedAuthorization(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t, func(r *identityv1.PutClientRequest) { r.Client.Trusted = false })
	p := b.party(t)
	jane := b.jane(t)
	asked, err := url.Parse(p.url())
	must(t, err)
	post := func(values url.Values, site string) seen {
		r, err := http.NewRequest(http.MethodPost, issuer+authorizePath, strings.NewReader(values.Encode()))
		must(t, err)
		r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://app.example"}, "Sec-Fetch-Site": {site}, "Sec-Fetch-Mode": {"navigate"}}
		return jane.look(t, r)
	}
	page := post(asked.Query(), "cross-site")
	if page.status != 200 || !strings.Contains(page.body, texts["en"]["consent"]) {
		t.Fatalf("a request that is posted: %d %s", page.status, page.body)
	}
	// What the page would post, posted from elsewhere.
	values := url.Values{"decision": {"allow"}, "request": {asked.RawQuery}}
	for _, field := range hidden.FindAllStringSubmatch(page.body, -1) {
		if field[1] == "form" {
			values.Set("form", field[2])
		}
	}
	if got := post(values, "cross-site"); got.status != 403 || got.location != nil {
		t.Errorf("leave given from elsewhere: %d %v", got.status, got.location)
	}
	if got := moduletest.Value[int](t, b.House, "SELECT count(*) FROM identity.consent"); got != 0 {
		t.Errorf("%d leaves were given", got)
	}
	values.Set("client_id", "app") // Taken for a request, which it is not.
	if got := post(values, "cross-site"); got.status != 400 || got.location != nil {
		t.Errorf("leave and request in one: %d %v", got.status, got.location)
	}
	if got := post(url.Values{"client_id": {strings.Repeat("x", maxAuthorization)}}, "cross-site"); got.status != 400 {
		t.Errorf("a long request: %d", got.status)
	}
	if got := jane.submit(t, page, authorizePath, url.Values{"decision": {"allow"}}); got.location == nil || !strings.HasPrefix(got.location.String(), callback+"?") {
		t.Errorf("leave given here: %d %v", got.status, got.location)
	}
}

// TestNext holds where somebody goes on after a sign-in: nowhere but here.
func TestNext(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"/": "/", "/cart?step=2#pay": "/cart?step=2#pay", "/oauth/authorize?client_id=app": "/oauth/authorize?client_id=app",
		"": "", "//evil.example": "", "///evil.example": "", "https://evil.example": "", `/\evil.example`: "", `\/evil.example`: "", "javascript:alert(1)": "",
		"/\t/evil.example": "", "/\n/evil.example": "", " //evil.example": "", "cart": "", "/" + strings.Repeat("x", maxNext): "",
	} {
		if got := next(asked); got != want {
			t.Errorf("%q leads to %q, want %q", asked, got, want)
		}
	}
}
