package auth

import (
	"net"
	"net/http"
	"slices"

	"github.com/cleave-go/cleave/platform/rpc"
)

// Development takes every caller of this machine for one user who has not had to sign in, and everybody else for nobody. It is for a
// public port that listens on loopback only and has no issuer.
//
// This machine is who calls it by a name of its own: not a request that a proxy says it passes on, nor that of a web page whose name was
// made to lead here. What a proxy passes on without a word, under a name of this machine, as nginx does unless told otherwise, cannot be
// told from it. A request with a token is refused, because nobody can check it.
func Development(user rpc.Principal) func(*http.Request) (rpc.Principal, error) {
	return func(r *http.Request) (rpc.Principal, error) {
		if _, err := Anonymous(r); err != nil || !fromHere(r) {
			return rpc.Principal{}, err
		}
		return user, nil
	}
}

// Anonymous takes every caller for nobody. It is for a public port without an issuer. A request with a token is refused, because
// nobody can check it.
func Anonymous(r *http.Request) (rpc.Principal, error) {
	if len(r.Header.Values("Authorization")) > 0 {
		return rpc.Principal{}, invalid("access tokens cannot be checked here: call without one, or set CLEAVE_OIDC_ISSUER")
	}
	return rpc.Principal{}, nil
}

// fromHere reports whether this machine makes the request to itself.
func fromHere(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return isLoopback(host) && !slices.ContainsFunc(proxied, func(name string) bool { return r.Header[name] != nil })
}

// proxied are the headers by which proxies tell of themselves, or for whom they ask.
var proxied = []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"}
