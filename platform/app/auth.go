package app

import (
	"net"
	"net/http"

	"github.com/cleave-go/cleave/platform/auth"
	"github.com/cleave-go/cleave/platform/rpc"
)

// developmentUser is who calls the public port of a laptop.
const developmentUser = "usr_development"

// authenticate returns what tells the public port who calls.
func (u *unit) authenticate(listener net.Listener) func(*http.Request) (rpc.Principal, error) {
	if isLoopback(listener) {
		u.log.Warn("nobody has to sign in: every caller of the public port is the development user, who may do everything, because it listens on loopback only and no issuer of tokens is set",
			"user", developmentUser)
		return auth.Development(rpc.Everything(developmentUser, u.Edge))
	}
	u.log.Warn("nobody can sign in: every caller of the public port is anonymous, because no issuer of tokens is set", "set", "CLEAVE_OIDC_ISSUER")
	return auth.Anonymous
}
