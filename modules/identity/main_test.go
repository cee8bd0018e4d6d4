package identity

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1cleave"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/edge"
	"github.com/cleave-go/cleave/platform/moduletest"
	"github.com/cleave-go/cleave/platform/postgrestest"
)

func TestMain(m *testing.M) { postgrestest.Main(m) }

const (
	issuer   = "http://127.0.0.1:8080" // As the setting has it; the client of a test is led to the edge of the test.
	callback = "https://app.example/callback"
	email    = "jane@example.com"
	password = "correct horse battery staple"
)

// bundle is the module at work behind an edge.
type bundle struct {
	*moduletest.House
	client  identityv1connect.AccountServiceClient
	clients identityv1connect.ClientServiceClient
	desk    identityv1connect.DeskServiceClient
	mails   identityv1connect.MailServiceClient
	orders  *guestOrders
	addr    string // Of the edge.
}

func setup(t *testing.T) *bundle {
	t.Helper()
	orders := &guestOrders{claims: make(chan *ordersv1.ClaimGuestOrdersRequest, 10)}
	h := moduletest.Start(t, Module, orders.module())
	caller := h.Caller("edge", Module.Serves...)
	door := edge.New(edge.Config{Services: Module.Serves, Issuer: issuer, Route: func(string) http.Handler { return h.Handler() }})
	server := httptest.NewServer(door)
	t.Cleanup(server.Close)
	return &bundle{
		House: h, orders: orders, client: identityv1cleave.NewAccountServiceClient(caller), clients: identityv1cleave.NewClientServiceClient(caller),
		desk:  identityv1cleave.NewDeskServiceClient(caller),
		mails: identityv1cleave.NewMailServiceClient(h.Caller("notifications", identityv1cleave.MailService)), addr: strings.TrimPrefix(server.URL, "http://"),
	}
}

// app makes the client app known: one of the shop's own without a secret, unless change says otherwise.
func (b *bundle) app(t *testing.T, change ...func(*identityv1.PutClientRequest)) {
	t.Helper()
	r := &identityv1.PutClientRequest{Client: &identityv1.Client{
		Id: "app", Name: "The App", RedirectUris: []string{callback}, Scopes: []string{"openid", "email", "profile", "offline_access", "orders:read"}, Trusted: true,
	}}
	for _, c := range change {
		c(r)
	}
	_, err := b.clients.PutClient(moduletest.As(t, ""), r)
	must(t, err)
}

// browser is somebody's browser.
type browser struct {
	*http.Client
	addr string
}

// browser returns one without cookies. It follows no redirect to an app.
func (b *bundle) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	dialer := &net.Dialer{}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, b.addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{Client: &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// seen is what a browser shows.
type seen struct {
	status   int
	body     string
	location *url.URL // Where a redirect to an app leads.
	header   http.Header
}

func (b *browser) look(t *testing.T, r *http.Request) seen {
	t.Helper()
	response, err := b.Do(r.WithContext(t.Context()))
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	location, _ := response.Location()
	return seen{response.StatusCode, string(body), location, response.Header}
}

func (b *browser) get(t *testing.T, path string) seen {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, issuer+strings.TrimPrefix(path, issuer), nil)
	must(t, err)
	return b.look(t, r)
}

func (b *browser) post(t *testing.T, path string, values url.Values) seen {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, issuer+path, strings.NewReader(values.Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.look(t, r)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// submit posts the form of a page with what somebody types.
func (b *browser) submit(t *testing.T, on seen, path string, typed url.Values) seen {
	t.Helper()
	for _, field := range hidden.FindAllStringSubmatch(on.body, -1) {
		if !typed.Has(field[1]) {
			typed.Set(field[1], strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'").Replace(field[2]))
		}
	}
	return b.post(t, path, typed)
}

// ask asks for a mail, on the page of that path.
func (b *browser) ask(t *testing.T, path, address string) seen {
	t.Helper()
	return b.submit(t, b.get(t, path), path, url.Values{"email": {address}})
}

// choose follows a link from a mail and chooses a password.
func (b *browser) choose(t *testing.T, link, secret string) seen {
	t.Helper()
	return b.submit(t, b.get(t, link), passwordPath, url.Values{"name": {"Jane Doe"}, "password": {secret}})
}

func (b *browser) signIn(t *testing.T, address, secret string) seen {
	t.Helper()
	return b.submit(t, b.get(t, signInPath), signInPath, url.Values{"email": {address}, "password": {secret}})
}

// mail returns what the last mail says that is owed; nil if it is owed to nobody.
func (b *bundle) mail(t *testing.T) *identityv1.Mail {
	t.Helper()
	mailID := moduletest.Value[string](t, b.House, "SELECT id FROM identity.mail ORDER BY id DESC LIMIT 1")
	answer, err := b.mails.WriteMails(moduletest.As(t, ""), &identityv1.WriteMailsRequest{MailIds: []string{mailID}})
	must(t, err)
	if len(answer.GetMails()) == 0 {
		return nil
	}
	return answer.GetMails()[0]
}

var inMail = regexp.MustCompile(issuer + `/\S+`)

// link returns the link of the last mail.
func (b *bundle) link(t *testing.T) string {
	t.Helper()
	return inMail.FindString(b.mail(t).GetText())
}

// register makes an account.
func (b *bundle) register(t *testing.T, at *browser, address string) {
	t.Helper()
	if got := at.ask(t, registrationPath, address); got.status != http.StatusOK {
		t.Fatalf("%s asks for an account: %d %s", address, got.status, got.body)
	}
	if got := at.choose(t, b.link(t), password); got.status != http.StatusOK || !strings.Contains(got.body, texts["en"]["now_sign_in"]) {
		t.Fatalf("%s chooses a password: %d %s", address, got.status, got.body)
	}
}

// jane returns a browser in which Jane has registered and signed in.
func (b *bundle) jane(t *testing.T) *browser {
	t.Helper()
	jane := b.browser(t)
	b.register(t, jane, email)
	if got := jane.signIn(t, email, password); got.status != http.StatusOK || !strings.Contains(got.body, "Where you are signed in") {
		t.Fatalf("Jane signs in: %d %s", got.status, got.body)
	}
	return jane
}

// id returns the id of Jane's account.
func (b *bundle) id(t *testing.T) string {
	t.Helper()
	return moduletest.Value[string](t, b.House, "SELECT id FROM identity.account WHERE email = $1", email)
}

// party is the app app, by well-known libraries.
type party struct {
	ctx      context.Context
	config   oauth2.Config
	provider *oidc.Provider
	verifier string
}

func (b *bundle) party(t *testing.T, scopes ...string) *party {
	t.Helper()
	ctx := oidc.ClientContext(t.Context(), b.browser(t).Client)
	provider, err := oidc.NewProvider(ctx, issuer)
	must(t, err)
	return &party{ctx, oauth2.Config{ClientID: "app", Endpoint: provider.Endpoint(), RedirectURL: callback, Scopes: append([]string{"openid"}, scopes...)}, provider, oauth2.GenerateVerifier()}
}

// url is where the app sends somebody.
func (p *party) url(more ...oauth2.AuthCodeOption) string {
	return p.config.AuthCodeURL("the state", append([]oauth2.AuthCodeOption{oauth2.S256ChallengeOption(p.verifier), oidc.Nonce("the nonce")}, more...)...)
}

// code returns the code that the app gets for somebody who is signed in.
func (p *party) code(t *testing.T, at *browser) string {
	t.Helper()
	got := at.get(t, p.url())
	if got.location == nil || !strings.HasPrefix(got.location.String(), callback+"?") {
		t.Fatalf("the app is not called back: %d %s", got.status, got.body)
	}
	query := got.location.Query()
	if query.Get("state") != "the state" || query.Get("iss") != issuer || query.Get("code") == "" {
		t.Fatalf("the app is called back at %s", got.location)
	}
	return query.Get("code")
}

// redeem returns the tokens for a code.
func (p *party) redeem(code string) (*oauth2.Token, error) {
	return p.config.Exchange(p.ctx, code, oauth2.VerifierOption(p.verifier))
}

// tokens returns the tokens that the app gets for somebody who is signed in.
func (p *party) tokens(t *testing.T, at *browser) *oauth2.Token {
	t.Helper()
	token, err := p.redeem(p.code(t, at))
	must(t, err)
	return token
}

// jsonOf reads a document.
func jsonOf(t *testing.T, body string) map[string]any {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal([]byte(body), &document); err != nil {
		t.Fatalf("%q is no document: %v", body, err)
	}
	return document
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
