package auth

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/cleave-go/cleave/platform/rpc"
)

// maxToken bounds a token, in bytes. What it says travels on in headers, so that their limits hold it too.
const maxToken = 8 << 10

// Config says whose tokens are good.
type Config struct {
	// Issuer is the URL of the issuer, exactly as its tokens say it.
	Issuer string
	// Audience is what tokens for this house name as theirs.
	Audience string
	// RolesClaim is the claim with the roles: its name, or a path with dots.
	RolesClaim string
	Log        *slog.Logger
}

// Verifier verifies access tokens. Its methods may be called concurrently.
type Verifier struct {
	rules rules
	keys  *keyring
}

// New returns a verifier and begins to fetch the issuer's keys. It does not wait for them: an issuer that is down stops nobody who has
// no token. Stop ends it.
func New(c Config) *Verifier { return newVerifier(c, newTransport()) }

func newVerifier(c Config, transport http.RoundTripper) *Verifier {
	v := &Verifier{
		rules: rules{issuer: c.Issuer, audience: c.Audience, roles: c.RolesClaim},
		keys:  newKeyring(&issuer{url: c.Issuer, client: newClient(transport)}, c.Log),
	}
	go v.keys.run()
	return v
}

// Stop ends what the verifier does by itself. Tokens can still be verified with the keys that it has.
func (v *Verifier) Stop(context.Context) { v.keys.stop() }

// Authenticate returns in whose name a request is made: nobody's, if it has no token. A bad token is the error unauthenticated,
// whatever else the request has; unavailable means that no token can be checked at present.
func (v *Verifier) Authenticate(r *http.Request) (rpc.Principal, error) {
	text, err := bearer(r.Header)
	if text == "" || err != nil {
		return rpc.Principal{}, err
	}
	sum := sha256.Sum256([]byte(text))
	if set := v.keys.set(); set != nil {
		if principal, known := set.verified.get(sum, time.Now()); known {
			return principal, nil
		}
	}
	t, err := parse(text)
	if err != nil {
		return rpc.Principal{}, err
	}
	set, keys, err := v.keys.of(r.Context(), t.keyID)
	if err != nil {
		return rpc.Principal{}, err
	}
	claims, err := t.verify(keys)
	if err != nil {
		return rpc.Principal{}, err
	}
	principal, until, err := v.rules.check(claims, time.Now())
	if err != nil {
		return rpc.Principal{}, err
	}
	set.verified.put(sum, principal, until)
	return principal, nil
}

// bearer returns the token of a request, or "" if it has none. Only the header counts: a token in the URL or in a form would be
// written into logs.
func bearer(header http.Header) (string, error) {
	values := header.Values("Authorization")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", invalid("there is more than one Authorization header")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer") || token == "":
		return "", invalid("the Authorization header is not Bearer and a token")
	case len(token) > maxToken:
		return "", invalid("the access token is too long")
	}
	return token, nil
}
