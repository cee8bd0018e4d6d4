package auth_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"github.com/cleave-go/cleave/platform/auth"
	"github.com/cleave-go/cleave/platform/auth/authtest"
	"github.com/cleave-go/cleave/platform/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// verifier returns a verifier of an issuer's tokens.
func verifier(t *testing.T, issuer *authtest.Issuer, rolesClaim string) *auth.Verifier {
	t.Helper()
	v := auth.New(auth.Config{Issuer: issuer.URL, Audience: authtest.Audience, RolesClaim: rolesClaim, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { v.Stop(t.Context()) })
	return v
}

// authenticate authenticates a request with a token.
func authenticate(v *auth.Verifier, token string) (rpc.Principal, error) {
	return v.Authenticate(request(http.Header{"Authorization": {"Bearer " + token}}))
}

func request(header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header = header
	return r
}
