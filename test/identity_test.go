package test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/jackc/pgx/v5"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/gen/cleave/identity/v1/identityv1connect"
	notificationsv1 "github.com/cleave-go/cleave/gen/cleave/notifications/v1"
	"github.com/cleave-go/cleave/gen/cleave/notifications/v1/notificationsv1connect"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/platform/browsertest"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// TestOwnIssuer signs somebody in at the shop itself, by libraries that know nothing of it, and calls the shop with the token that comes of
// it: in one process, with every module apart, and with some together.
func TestOwnIssuer(t *testing.T) {
	binaries := topology.NewBinaries(t)
	for _, layout := range []house.Layout{house.AllInOne, house.AllApart, house.Mixed} {
		t.Run(layout.Name, func(t *testing.T) {
			t.Parallel()
			addr := topology.Reserve(t)
			issuer := "http://" + addr
			s := layout.Open(t, binaries, house.Options{Env: map[string]string{
				"CLEAVE_PUBLIC_ADDR": addr, "CLEAVE_IDENTITY_ISSUER": issuer, "CLEAVE_OIDC_ISSUER": issuer, "CLEAVE_OIDC_AUDIENCE": issuer,
			}})
			ownIssuer(t, s, issuer)
		})
	}
}

func ownIssuer(t *testing.T, s *shop, issuer string) {
	const callback, email, password = "https://app.example/callback", "jane@example.com", "correct horse battery staple"
	clients := identityv1connect.NewClientServiceClient(http.DefaultClient, adminOf(s, "identity"))
	if _, err := clients.PutClient(t.Context(), &identityv1.PutClientRequest{Client: &identityv1.Client{
		Id: "app", Name: "App", RedirectUris: []string{callback}, Scopes: []string{"openid", "email", "account:read", "orders:read"}, Trusted: true,
	}}); err != nil {
		t.Fatal(err)
	}
	provider, err := oidc.NewProvider(t.Context(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	app := oauth2.Config{ClientID: "app", Endpoint: provider.Endpoint(), RedirectURL: callback, Scopes: []string{"openid", "email", "account:read", "orders:read"}}
	verifier := oauth2.GenerateVerifier()

	ordered := orderAsGuest(t, s, clients, issuer, "Jane@Example.com")

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	fill(t, browser, issuer+"/register", url.Values{"email": {email}})
	fill(t, browser, link(t, s, issuer), url.Values{"password": {password}})
	back := fill(t, browser, app.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier)), url.Values{"email": {email}, "password": {password}})
	if back == nil || back.Query().Get("iss") != issuer {
		t.Fatalf("she is led to %v", back)
	}
	token, err := app.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	idToken, err := provider.Verifier(&oidc.Config{ClientID: "app"}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}

	accounts := identityv1connect.NewAccountServiceClient(oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(token)), issuer)
	answer, err := accounts.GetAccount(t.Context(), &identityv1.GetAccountRequest{})
	if err != nil || answer.GetAccount().GetId() != idToken.Subject || answer.GetAccount().GetEmail() != email {
		t.Errorf("with her token: %v, %v", answer, err)
	}
	orders := ordersv1connect.NewOrderServiceClient(oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(token)), issuer)
	var list *ordersv1.ListOrdersResponse
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && len(list.GetOrders()) == 0; time.Sleep(50 * time.Millisecond) {
		if list, err = orders.ListOrders(t.Context(), &ordersv1.ListOrdersRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(list.GetOrders()) != 1 || list.GetOrders()[0].GetId() != ordered {
		t.Errorf("she finds %v, want what she has ordered as a guest, %s", list.GetOrders(), ordered)
	}
	messages := notificationsv1connect.NewNotificationServiceClient(oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(token)), issuer)
	if _, err := messages.ListMessages(t.Context(), &notificationsv1.ListMessagesRequest{}); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("without the scope: %v, want permission denied", err)
	}
	withID := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: raw}))
	if _, err := identityv1connect.NewAccountServiceClient(withID, issuer).GetAccount(t.Context(), &identityv1.GetAccountRequest{}); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("with the ID token: %v, want unauthenticated", err)
	}
	t.Run("openid-client", func(t *testing.T) { openIDClient(t, clients, browser, issuer, idToken.Subject) })
	if logs := s.Logs(); strings.Contains(logs, email) || strings.Contains(logs, token.AccessToken) || strings.Contains(logs, password) {
		t.Error("the logs tell of her address, her password or her token")
	}
}

// orderAsGuest has somebody order without an account, in a shop that a service account of its own has filled, and returns the order.
func orderAsGuest(t *testing.T, s *shop, clients identityv1connect.ClientServiceClient, issuer, email string) string {
	t.Helper()
	const secret = "a secret of a service account, long enough"
	if _, err := clients.PutClient(t.Context(), &identityv1.PutClientRequest{Secret: secret, Client: &identityv1.Client{
		Id: "stock", Name: "Stock", Scopes: []string{"catalog:write", "inventory:write"}, Roles: []string{"staff"}, Confidential: true,
	}}); err != nil {
		t.Fatal(err)
	}
	account := clientcredentials.Config{ClientID: "stock", ClientSecret: secret, TokenURL: issuer + "/oauth/token"}
	token, err := account.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v := enter(t, s, connectRPC)
	v.clients = connectRPC.clients(t, s, func(string) string { return issuer })
	anybody := v.ctx
	v.ctx = bearing(anybody, token.AccessToken)
	sku := v.product(1990, 1)
	v.ctx, v.email = bearing(anybody, newGuest()), email
	return v.buy("pm_card_visa", item{sku, 1}).GetId()
}

// openIDClient signs Jane, who is signed in at the browser, in at an app that npm's openid-client is for.
func openIDClient(t *testing.T, clients identityv1connect.ClientServiceClient, browser *http.Client, issuer, subject string) {
	const secret = "a secret of thirty-two characters and more"
	if _, err := clients.PutClient(t.Context(), &identityv1.PutClientRequest{Secret: secret, Client: &identityv1.Client{
		Id: "web", Name: "Web", RedirectUris: []string{"https://app.example/callback"}, Scopes: []string{"openid", "email", "offline_access"}, Trusted: true, Confidential: true,
	}}); err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "testdata/openid.mjs", issuer, "web", secret, browsertest.Packages(t))
	var complaints strings.Builder
	node.Stderr = &complaints
	in, inErr := node.StdinPipe()
	out, outErr := node.StdoutPipe()
	if err := errors.Join(inErr, outErr, node.Start()); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	said.Scan()
	if response, err := browser.Get(said.Text()); err != nil {
		t.Errorf("go to %q: %v", said.Text(), err)
	} else {
		response.Body.Close()
		_, _ = io.WriteString(in, response.Header.Get("Location")+"\n")
	}
	in.Close()
	said.Scan()
	learned := said.Text()
	if err := node.Wait(); err != nil || learned != subject {
		t.Errorf("openid-client learns %q, want %s: %v\n%s", learned, subject, err, complaints.String())
	}
}

// adminOf returns the URL of the operator's port of the unit that a module lives in.
func adminOf(s *shop, module string) string {
	for _, unit := range s.Units() {
		for _, name := range unit.Modules {
			if name == module {
				return unit.Admin()
			}
		}
	}
	panic("module " + module + " lives nowhere")
}

// link returns the link in the mail that comes to the development mailbox.
func link(t *testing.T, s *shop, issuer string) string {
	t.Helper()
	db, err := pgx.Connect(t.Context(), s.Databases["notifications"])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var text string
		err := db.QueryRow(t.Context(), "SELECT body FROM notifications.mail WHERE strpos(body, $1) > 0 ORDER BY id DESC LIMIT 1", issuer).Scan(&text)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			t.Fatal(err)
		}
		if _, link, found := strings.Cut(text, issuer); found {
			return issuer + strings.Fields(link)[0]
		}
	}
	t.Fatal("no mail comes")
	return ""
}

var (
	formField  = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
)

// fill gets a page, fills in its form, and returns where that leads in the end if it leads away.
func fill(t *testing.T, browser *http.Client, page string, typed url.Values) *url.URL {
	t.Helper()
	response, err := browser.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	action := formAction.FindSubmatch(body)
	if err != nil || action == nil {
		t.Fatalf("%s has no form: %v, %s %s", page, err, response.Status, body)
	}
	for _, field := range formField.FindAllSubmatch(body, -1) {
		typed.Set(string(field[1]), strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(string(field[2])))
	}
	to, err := response.Request.URL.Parse(string(action[1]))
	if err != nil {
		t.Fatal(err)
	}
	if response, err = browser.PostForm(to.String(), typed); err != nil {
		t.Fatal(err)
	}
	body, _ = io.ReadAll(response.Body)
	response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		t.Fatalf("%s: %s %s", to, response.Status, body)
	}
	away, _ := response.Location()
	return away
}
