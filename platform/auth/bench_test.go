package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/cleave-go/cleave/platform/auth"
	"github.com/cleave-go/cleave/platform/auth/authtest"
)

// BenchmarkAuthenticate measures a request with a token that is remembered, and with one that is not.
func BenchmarkAuthenticate(b *testing.B) {
	issuer := authtest.Start(b)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	es, rs := issuer.Signing(), issuer.Publish(authtest.Key{ID: "rsa", Algorithm: jose.RS256, Private: private})
	v := auth.New(auth.Config{Issuer: issuer.URL, Audience: authtest.Audience, RolesClaim: "roles", Log: slog.New(slog.DiscardHandler)})
	b.Cleanup(func() { v.Stop(b.Context()) })
	request := func(n int) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Mint(issuer.Claims("usr_somebody", "customer").With(authtest.Claims{"n": n, "scope": "orders:read orders:write"})))
		return r
	}
	for _, key := range []authtest.Key{es, rs} {
		issuer.Sign(key)
		b.Run("remembered "+string(key.Algorithm), func(b *testing.B) {
			r := request(-1)
			for b.Loop() {
				if _, err := v.Authenticate(r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("new "+string(key.Algorithm), func(b *testing.B) {
			n := 0
			for b.Loop() {
				b.StopTimer()
				r := request(n)
				n++
				b.StartTimer()
				if _, err := v.Authenticate(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
