package test

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
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
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// TestErasure has a person forgotten who has an account, addresses, mails and orders, also one that she placed as a guest before, and looks for her
// everywhere: in one process and with every module apart.
func TestErasure(t *testing.T) {
	binaries := topology.NewBinaries(t)
	for _, layout := range []house.Layout{house.AllInOne, house.AllApart} {
		t.Run(layout.Name, func(t *testing.T) {
			t.Parallel()
			addr := topology.Reserve(t)
			issuer := "http://" + addr
			s := layout.Open(t, binaries, house.Options{Env: map[string]string{
				"CLEAVE_PUBLIC_ADDR": addr, "CLEAVE_IDENTITY_ISSUER": issuer, "CLEAVE_OIDC_ISSUER": issuer, "CLEAVE_OIDC_AUDIENCE": issuer,
			}})
			(&forgetting{T: t, shop: s, issuer: issuer, tool: binaries.Build(t, "cmd/cleave")}).play()
		})
	}
}

// What is known of her, and of a guest who is not forgotten with her.
const (
	hersEmail    = "ada.kingrose@example.org"
	hersName     = "Augusta Kingrose"
	hersStreet   = "Kaninchenweg 99"
	hersPhone    = "+49 30 5550199"
	hersPassword = "engine of many brass wheels"
	othersEmail  = "grace.compiler@example.org"
)

// forgetting is a house in which somebody is forgotten.
type forgetting struct {
	*testing.T
	*shop
	issuer, tool string
	sku          string
}

// must fails the test because of an error.
func (f *forgetting) must(what string, err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("%s: %v", what, err)
	}
}

func (f *forgetting) play() {
	f.fill()
	browser, app := f.register()
	token := f.signIn(browser, app)
	client := oauth2.NewClient(f.Context(), oauth2.StaticTokenSource(token))
	accounts := identityv1connect.NewAccountServiceClient(client, f.issuer)
	answer, err := accounts.GetAccount(f.Context(), &identityv1.GetAccountRequest{})
	f.must("get the account", err)
	hers := answer.GetAccount().GetId()
	book := identityv1connect.NewAddressServiceClient(client, f.issuer)
	home := &identityv1.CreateAddressRequest{RequestId: request(), Address: &identityv1.Address{
		Name: hersName, Lines: []string{hersStreet, hersPhone}, PostalCode: "12345", City: "Springfield", Country: "DE",
	}}
	_, err = book.CreateAddress(f.Context(), home)
	f.must("keep an address", err)
	acknowledged := []string{f.orderAsGuest(hersEmail), f.orderAsGuest(othersEmail), f.order(client)}
	f.until("what the guests ordered is mailed to them", func() bool {
		return slices.Contains(f.search(hersEmail), "notifications.mail") && slices.Contains(f.search(othersEmail), "notifications.mail")
	})
	claim := &ordersv1.ClaimGuestOrdersRequest{RequestId: request(), UserId: hers, Email: hersEmail}
	inside := ordersv1connect.NewGuestServiceClient(http.DefaultClient, f.Internal("orders"), asNotifications)
	claimed, err := inside.ClaimGuestOrders(f.Context(), claim)
	f.must("claim the guest's order", err)
	if claimed.GetOrders() != 1 {
		f.Fatalf("%d orders are claimed", claimed.GetOrders())
	}

	// She is where she should be, or nothing that follows could fail.
	for what, where := range map[string][]string{
		hersEmail:  {"identity.account", "notifications.mail", "orders.contact"},
		hersName:   {"identity.account", "identity.address", "identity.cleave_request"},
		hersStreet: {"identity.address", "identity.cleave_request"},
		hersPhone:  {"identity.address", "identity.cleave_request"},
	} {
		if got := f.search(what); !slices.Equal(got, where) {
			f.Errorf("%q is in %q, want %q", what, got, where)
		}
	}
	export, code := f.run("people", "export", hers)
	for _, want := range []string{hersEmail, hersName, hersStreet, hersPhone, acknowledged[0], acknowledged[2]} {
		if code != 0 || !strings.Contains(export, want) {
			f.Errorf("the export ends with %d and lacks %q:\n%s", code, want, export)
		}
	}
	if strings.Contains(export, othersEmail) || strings.Contains(export, "argon2id") {
		f.Errorf("the export has too much:\n%s", export)
	}
	if says, code := f.run("people", "report", hers); code == 0 {
		f.Errorf("before, the report says that all have forgotten her:\n%s", says)
	}

	// A checkout is still under way when she goes.
	if _, err := accounts.EraseAccount(f.Context(), &identityv1.EraseAccountRequest{Password: "wrong " + hersPassword}); connect.CodeOf(err) != connect.CodePermissionDenied {
		f.Errorf("with a wrong password: %v", err)
	}
	acknowledged = append(acknowledged, f.order(client))
	for range 2 { // The answer may be lost.
		_, err = accounts.EraseAccount(f.Context(), &identityv1.EraseAccountRequest{Password: hersPassword})
		f.must("be forgotten", err)
	}
	says := ""
	f.until("all have forgotten her", func() bool {
		says, code = f.run("people", "report", hers)
		return code == 0
	})
	for _, want := range []string{"identity account anonymised 1", "identity address erased 1", "orders contact erased 1", "orders order kept 3", "notifications mail to a guest erased 1"} {
		if !strings.Contains(strings.Join(strings.Fields(says), " "), want) {
			f.Errorf("the report lacks %q:\n%s", want, says)
		}
	}

	// Nothing brings her back.
	home.RequestId = request()
	if _, err := book.CreateAddress(f.Context(), home); rpc.Reason(err) != "ERASED" {
		f.Errorf("an address of hers: %v", err)
	}
	late := f.orderAsGuest(othersEmail)
	acknowledged = append(acknowledged, late)
	claim.RequestId, claim.Email = request(), othersEmail
	if _, err := inside.ClaimGuestOrders(f.Context(), claim); rpc.Reason(err) != "ERASED" {
		f.Errorf("a late claim: %v", err)
	}
	if _, err := app.TokenSource(f.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		f.Errorf("her refresh token: %v", err)
	}
	response, err := browser.Get(f.issuer + "/devices")
	f.must("look at the devices", err)
	response.Body.Close()
	if response.Request.URL.Path != "/signin" {
		f.Errorf("her cookie leads to %s", response.Request.URL)
	}
	for _, subscriber := range []string{"orders", "notifications"} {
		if says, code := f.run("events", "replay", "identity", subscriber, "--force"); code != 0 {
			f.Errorf("replay: %d\n%s", code, says)
		}
	}
	if says, code := f.run("events", "replay", "orders", "notifications", "--force"); code != 0 {
		f.Errorf("replay: %d\n%s", code, says)
	}
	if says, code := f.Verify(f.T, acknowledged...); code != 0 {
		f.Errorf("verify: %d\n%s", code, says)
	}
	f.nowhere(hersEmail, hersName, hersStreet, hersPhone)
	if got := f.search(othersEmail); !slices.Equal(got, []string{"notifications.mail", "orders.contact"}) {
		f.Errorf("the other is in %q", got)
	}
	if export, code := f.run("people", "export", hers); code != 0 || !strings.Contains(export, acknowledged[2]) || strings.Contains(export, hersEmail) {
		f.Errorf("later the export ends with %d:\n%s", code, export)
	}
	if says, code := f.run("people", "erase", "--email", strings.ToUpper(othersEmail)); code != 0 {
		f.Errorf("the guest is not forgotten: %d\n%s", code, says)
	}
	f.until("the guest's last mail has gone", func() bool {
		return f.rows("notifications", "SELECT count(*) FROM notifications.message WHERE state IN ('queued', 'sending')") == 0
	})
	if says, code := f.run("people", "erase", "--email", othersEmail); code != 0 {
		f.Errorf("the guest is not forgotten: %d\n%s", code, says)
	}
	f.nowhere(othersEmail)
	if says, code := f.Verify(f.T, acknowledged...); code != 0 {
		f.Errorf("verify at the end: %d\n%s", code, says)
	}

	// Whoever comes back is somebody else.
	again, app := f.register()
	token = f.signIn(again, app)
	answer, err = identityv1connect.NewAccountServiceClient(oauth2.NewClient(f.Context(), oauth2.StaticTokenSource(token)), f.issuer).GetAccount(f.Context(), &identityv1.GetAccountRequest{})
	if err != nil || answer.GetAccount().GetId() == hers || answer.GetAccount().GetEmail() != hersEmail {
		f.Errorf("who comes back is %v, %v", answer, err)
	}
}

// asNotifications makes a client call as the module that knows guests.
var asNotifications = connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		r.Header().Set("Cleave-Caller", "notifications")
		return next(ctx, r)
	}
}))

// run runs the tool against the operator's ports of the house, and returns what it prints and its exit code.
func (f *forgetting) run(args ...string) (string, int) {
	f.Helper()
	process, code := topology.Run(f.T, topology.Program{Name: "cleave", Binary: f.tool, Args: append(args, "--admin", strings.Join(f.Admins(), ","))})
	return process.Stdout() + process.Stderr(), code
}

// fill puts the demo catalogue on sale, as a service account would.
func (f *forgetting) fill() {
	f.Helper()
	const secret = "a secret of thirty-two characters and more"
	clients := identityv1connect.NewClientServiceClient(http.DefaultClient, adminOf(f.shop, "identity"))
	scopes := []string{"catalog:write", "inventory:write", "catalog:read", "inventory:read"}
	_, err := clients.PutClient(f.Context(), &identityv1.PutClientRequest{Secret: secret, Client: &identityv1.Client{
		Id: "filler", Name: "Filler", Scopes: scopes, Roles: []string{"staff"}, Confidential: true,
	}})
	f.must("make a service account", err)
	config := clientcredentials.Config{ClientID: "filler", ClientSecret: secret, TokenURL: f.issuer + "/oauth/token", Scopes: scopes}
	token, err := config.Token(f.Context())
	f.must("get a token", err)
	f.until("the edge knows the keys", func() bool {
		_, code := topology.Run(f.T, topology.Program{Name: "cleave seed", Binary: f.tool, Args: []string{"seed", "--url", f.issuer}, Env: map[string]string{"CLEAVE_TOKEN": token.AccessToken}})
		return code == 0
	})
	f.sku = "MUG-OAK-SMALL"
}

// register makes an account for her, in a browser of its own.
func (f *forgetting) register() (*http.Client, *oauth2.Config) {
	f.Helper()
	const callback = "https://app.example/callback"
	scopes := []string{"openid", "email", "offline_access", "account:read", "account:write", "carts:read", "carts:write", "orders:read", "orders:write"}
	clients := identityv1connect.NewClientServiceClient(http.DefaultClient, adminOf(f.shop, "identity"))
	_, err := clients.PutClient(f.Context(), &identityv1.PutClientRequest{Client: &identityv1.Client{Id: "app", Name: "App", RedirectUris: []string{callback}, Scopes: scopes, Trusted: true}})
	f.must("make an app known", err)
	jar, err := cookiejar.New(nil)
	f.must("make a jar", err)
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	mails := f.rows("notifications", "SELECT count(*) FROM notifications.mail")
	fill(f.T, browser, f.issuer+"/register", url.Values{"email": {hersEmail}})
	f.until("a mail comes", func() bool { return f.rows("notifications", "SELECT count(*) FROM notifications.mail") > mails })
	fill(f.T, browser, link(f.T, f.shop, f.issuer), url.Values{"name": {hersName}, "password": {hersPassword}})
	provider, err := oidc.NewProvider(f.Context(), f.issuer)
	f.must("find the provider", err)
	return browser, &oauth2.Config{ClientID: "app", Endpoint: provider.Endpoint(), RedirectURL: callback, Scopes: scopes}
}

// signIn returns the tokens that the app gets for her.
func (f *forgetting) signIn(browser *http.Client, app *oauth2.Config) *oauth2.Token {
	f.Helper()
	verifier := oauth2.GenerateVerifier()
	back := fill(f.T, browser, app.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier)), url.Values{"email": {hersEmail}, "password": {hersPassword}})
	if back == nil {
		f.Fatal("she is not led back to the app")
	}
	token, err := app.Exchange(f.Context(), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	f.must("redeem the code", err)
	return token
}

// order buys something and returns the order's id, which need not be settled.
func (f *forgetting) order(client *http.Client) string { return f.orderWith(client, "") }

func (f *forgetting) orderAsGuest(email string) string {
	return f.orderWith(oauth2.NewClient(f.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: newGuest()})), email)
}

func (f *forgetting) orderWith(client *http.Client, email string) string {
	f.Helper()
	carts, orders := ordersv1connect.NewCartServiceClient(client, f.issuer), ordersv1connect.NewOrderServiceClient(client, f.issuer)
	cart, err := carts.CreateCart(f.Context(), &ordersv1.CreateCartRequest{RequestId: request()})
	f.must("take a cart", err)
	_, err = carts.SetCartItem(f.Context(), &ordersv1.SetCartItemRequest{RequestId: request(), CartId: cart.GetCart().GetId(), Sku: f.sku, Quantity: 1})
	f.must("fill the cart", err)
	quote, err := carts.CreateQuote(f.Context(), &ordersv1.CreateQuoteRequest{RequestId: request(), CartId: cart.GetCart().GetId()})
	f.must("ask for a quote", err)
	order, err := orders.PlaceOrder(f.Context(), &ordersv1.PlaceOrderRequest{RequestId: request(), QuoteId: quote.GetQuote().GetId(), PaymentMethod: "pm_card_visa", Email: email})
	f.must("place an order", err)
	return order.GetOrder().GetId()
}

// until waits until something holds.
func (f *forgetting) until(what string, holds func() bool) {
	f.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain until %s", what)
		}
	}
}

// rows returns the number that a statement yields in the database of a module.
func (f *forgetting) rows(module, statement string) (n int64) {
	f.Helper()
	db, err := pgx.Connect(f.Context(), f.Databases[module])
	f.must("connect to the database", err)
	defer db.Close(f.Context())
	f.must(statement, db.QueryRow(f.Context(), statement).Scan(&n))
	return n
}

// nowhere requires that no table, job, mail or log has one of some texts.
func (f *forgetting) nowhere(texts ...string) {
	f.Helper()
	for _, text := range texts {
		if got := f.search(text); len(got) > 0 {
			f.Errorf("%q is still in %q", text, got)
		}
	}
	for _, text := range append(texts, hersPassword) {
		if strings.Contains(strings.ToLower(f.Logs()), strings.ToLower(text)) {
			f.Errorf("%q is in a log", text)
		}
	}
}

// search returns the tables in all schemas of all databases that have a text in any of their columns, also within one of bytes.
func (f *forgetting) search(text string) []string {
	f.Helper()
	found := map[string]bool{}
	for _, database := range slices.Compact(slices.Sorted(maps.Values(f.Databases))) {
		db, err := pgx.Connect(f.Context(), database)
		f.must("connect to the database", err)
		defer db.Close(f.Context())
		rows, _ := db.Query(f.Context(), `SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
			WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		f.must("list the tables", err)
		if len(tables) < 10 {
			f.Fatalf("there are %d tables in %s", len(tables), database)
		}
		for _, table := range tables {
			var has bool
			f.must("search "+table, db.QueryRow(f.Context(), fmt.Sprintf("SELECT EXISTS (SELECT FROM %s AS row WHERE row::text ILIKE '%%' || $1 || '%%' OR row::text LIKE '%%' || $2 || '%%')", table),
				text, hex.EncodeToString([]byte(text))).Scan(&has))
			if has {
				found[table] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
