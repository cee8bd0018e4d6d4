package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/auth/authtest"
	"github.com/cleave-go/cleave/platform/topology"
	"github.com/cleave-go/cleave/test/house"
)

// TestTokens opens shops that an issuer of tokens belongs to.
func TestTokens(t *testing.T) {
	binaries := topology.NewBinaries(t)
	for _, layout := range []house.Layout{house.AllInOne, house.AllApart} {
		t.Run(layout.Name, func(t *testing.T) {
			t.Parallel()
			issuer := authtest.Start(t)
			env := issuer.Env()
			env["CLEAVE_RATE_LIMIT"], env["CLEAVE_ANONYMOUS_RATE_LIMIT"] = "0", "0" // Wrong tokens are counted, too.
			shop := layout.Open(t, binaries, house.Options{Env: env, TLS: layout.Name == house.AllApart.Name})
			for _, p := range protocols {
				t.Run("who is let in over "+p.name, func(t *testing.T) { letIn(t, shop, issuer, p) })
			}
			t.Run("bad tokens", func(t *testing.T) { badTokens(t, shop, issuer) })
			t.Run("keys rotate under load", func(t *testing.T) { keysRotate(t, shop, issuer) })
			t.Run("log", func(t *testing.T) { sober(t, shop) })
		})
	}
}

// letIn holds what tokens allow: their scopes and roles, each to whom it was issued, and what needs none goes without.
func letIn(t *testing.T, s *shop, issuer *authtest.Issuer, p protocol) {
	v := enter(t, s, p)
	token := func(subject, scope string, roles ...string) string {
		return issuer.Mint(issuer.Claims(subject, roles...).With(authtest.Claims{"scope": scope}))
	}
	list := func(token string) error {
		_, err := v.orders.ListOrders(bearing(v.ctx, token), &ordersv1.ListOrdersRequest{})
		return err
	}
	v.must("list orders", list(token("usr_jane", "openid orders:read")))
	for _, c := range []struct{ name, token, want string }{
		{"without a token", "", "unauthenticated SIGN_IN"},
		{"without the scope", token("usr_jane", "orders:write"), "permission_denied SCOPE"},
		{"with a bad token", "garbage", "unauthenticated TOKEN_INVALID"},
		{"with an expired token", issuer.Mint(issuer.Claims("usr_jane").With(authtest.Claims{"exp": time.Now().Add(-time.Hour).Unix()})), "unauthenticated TOKEN_EXPIRED"},
	} {
		if got := code(list(c.token)); got != c.want {
			t.Errorf("list orders %s: got %s, want %s", c.name, got, c.want)
		}
	}
	stream, err := v.orders.WatchOrder(bearing(v.ctx, "garbage"), &ordersv1.WatchOrderRequest{Id: "ord_x"})
	if err == nil {
		stream.Receive()
		err = errors.Join(stream.Err(), stream.Close())
	}
	if connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("watch an order with a bad token: %v", err)
	}
	_, err = v.catalog.ListProducts(v.ctx, &catalogv1.ListProductsRequest{})
	v.must("list products without a token", err)
	_, err = v.catalog.ListProducts(bearing(v.ctx, "garbage"), &catalogv1.ListProductsRequest{})
	if connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("list products, as anyone may, with a bad token: %v", err)
	}
}

// bearing returns a context whose calls have a token, unless it is empty.
func bearing(ctx context.Context, token string) context.Context {
	ctx, info := connect.NewClientContext(ctx)
	if token != "" {
		info.RequestHeader().Set("Authorization", "Bearer "+token)
	}
	return ctx
}

// badTokens holds that whoever comes with a token that is not good does not come in, not even where everybody may.
func badTokens(t *testing.T, s *shop, issuer *authtest.Issuer) {
	const listOrders = "/cleave.orders.v1.OrderService/ListOrders"
	client := connectJSON.client(t, s)
	// call returns a line: the status, how to sign in, and the body.
	call := func(method, path string, header http.Header) string {
		request, err := http.NewRequestWithContext(t.Context(), method, s.Public()+path, nil)
		if err != nil {
			return err.Error()
		}
		request.Header = header.Clone()
		if method == http.MethodPost {
			request.Header.Set("Content-Type", "application/json")
			request.Body = io.NopCloser(strings.NewReader("{}"))
		}
		response, err := client.Do(request)
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		return fmt.Sprintf("%d %s %s %v", response.StatusCode, response.Header.Get("WWW-Authenticate"), text, err)
	}
	var trying sync.WaitGroup // At once, because some have to wait for a key that might come.
	for _, bad := range issuer.Bad(t) {
		trying.Go(func() {
			for _, to := range [][2]string{{"POST", "/cleave.catalog.v1.CatalogService/ListProducts"}, {"POST", listOrders}, {"GET", "/v1/products"}, {"GET", "/v1/orders"}} {
				got := call(to[0], to[1], bad.Header)
				if !strings.HasPrefix(got, `401 Bearer error="invalid_token", error_description="`) || !strings.Contains(got, bad.Says) {
					t.Errorf("%v with %s: got %s, want 401 that says %s", to, bad.Name, got, bad.Says)
				}
			}
		})
	}
	trying.Wait()
	for _, to := range [][2]string{{"POST", listOrders}, {"GET", "/v1/orders"}} {
		if got := call(to[0], to[1], http.Header{}); !strings.HasPrefix(got, "401 Bearer {") {
			t.Errorf("%v without a token: got %s", to, got)
		}
	}
}

// keysRotate holds that nobody notices when the issuer changes its keys: not who has a token of the old one, nor who has one of the new
// one, which the shop has never seen. In the end the old key is worth nothing.
func keysRotate(t *testing.T, s *shop, issuer *authtest.Issuer) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	read := authtest.Claims{"scope": "orders:read"}
	stop := make(chan struct{})
	var calls atomic.Int64
	var calling sync.WaitGroup
	for n := range 8 {
		clients := protocols[n%len(protocols)].clients(t, s, func(string) string { return s.Public() })
		calling.Go(func() {
			for call := 0; ; call++ {
				token := issuer.Mint(issuer.Claims(fmt.Sprintf("usr_%d", n)).With(read))
				for range 5 { // As who has a token does: it is used until there is a newer one.
					if _, err := clients.orders.ListOrders(bearing(ctx, token), &ordersv1.ListOrdersRequest{}); err != nil {
						t.Errorf("call %d of client %d: %v", call, n, err)
						return
					}
					calls.Add(1)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	old := issuer.Signing()
	oldToken := issuer.Mint(issuer.Claims("usr_old").With(read))
	for range 3 {
		more(ctx, &calls)
		// The new key signs as soon as it is published, and the old one stays published, as Keycloak does.
		issuer.Sign(issuer.Publish(authtest.NewKey()))
	}
	more(ctx, &calls)
	close(stop)
	calling.Wait()
	t.Logf("%d calls", calls.Load())

	client := connectRPC.clients(t, s, func(string) string { return s.Public() })
	list := func(token string) error {
		_, err := client.orders.ListOrders(bearing(ctx, token), &ordersv1.ListOrdersRequest{})
		return err
	}
	if err := list(oldToken); err != nil {
		t.Errorf("a token of the oldest key: %v", err)
	}
	issuer.Withdraw(old)
	next := authtest.NewKey()
	issuer.Publish(next)
	issuer.Sign(next)
	if err := list(issuer.Mint(issuer.Claims("usr_new").With(read))); err != nil { // Which makes the shop look.
		t.Errorf("a token of the newest key: %v", err)
	}
	if err := list(oldToken); code(err) != "unauthenticated TOKEN_INVALID" {
		t.Errorf("a token of a key that was withdrawn: %v", err)
	}
}

// more waits until another 200 calls have been answered.
func more(ctx context.Context, calls *atomic.Int64) {
	for enough := calls.Load() + 200; calls.Load() < enough && ctx.Err() == nil; {
		time.Sleep(10 * time.Millisecond)
	}
}
