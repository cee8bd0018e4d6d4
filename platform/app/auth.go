package app

import (
	"fmt"
	"net"
	"net/http"

	"github.com/cleave-go/cleave/platform/auth"
	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The settings that say whose tokens the public port accepts.
const (
	oidcIssuer     = "CLEAVE_OIDC_ISSUER"
	oidcAudience   = "CLEAVE_OIDC_AUDIENCE"
	oidcRolesClaim = "CLEAVE_OIDC_ROLES_CLAIM"
)

func authSettings() []config.Setting {
	return []config.Setting{
		{Name: oidcIssuer, Help: "URL of the OpenID Connect issuer whose access tokens are accepted, exactly as its tokens say it", Check: auth.CheckIssuer},
		{Name: oidcAudience, Help: "what access tokens for this house name as their audience"},
		{Name: oidcRolesClaim, Default: "roles", Help: "claim with the roles of a token, or a path like realm_access.roles"},
	}
}

// checkAuth says what is missing: half of the settings would let nobody in, or everybody.
func (p Program) checkAuth(values config.Values) error {
	if len(p.Edge) == 0 {
		return nil
	}
	if issuer, audience := values.String(oidcIssuer), values.String(oidcAudience); issuer != "" && audience == "" {
		return fmt.Errorf("%s is set and %s is not: set it to what the issuer's tokens for this house have as aud, or else tokens for other programs would be good here", oidcIssuer, oidcAudience)
	} else if issuer == "" && audience != "" {
		return fmt.Errorf("%s is set and %s is not: set both, or neither", oidcAudience, oidcIssuer)
	}
	return nil
}

// developmentUser is who calls the public port of a laptop.
const developmentUser = "usr_development"

// development reports whether callers of the public port need not sign in.
func (u *unit) development(listener net.Listener) bool {
	return isLoopback(listener) && u.values.String(oidcIssuer) == ""
}

// signsIn returns the issuer if that is the house itself, and "" otherwise: its tokens are for it and for no other.
func (u *unit) signsIn() string {
	issuer := u.values.String(oidcIssuer)
	if issuer != u.values.String(oidcAudience) {
		return ""
	}
	return issuer
}

// authenticate returns what tells the public port who calls.
func (u *unit) authenticate(listener net.Listener) func(*http.Request) (rpc.Principal, error) {
	if issuer := u.values.String(oidcIssuer); issuer != "" {
		verifier := auth.New(auth.Config{
			Issuer: issuer, Audience: u.values.String(oidcAudience), RolesClaim: u.values.String(oidcRolesClaim), Log: u.log,
		})
		u.onStop(verifier.Stop)
		u.metrics.MustRegister(verifier.Metrics()...)
		u.log.Info("access tokens of an issuer are accepted", "issuer", issuer, "audience", u.values.String(oidcAudience))
		return auth.WithGuests(verifier.Authenticate)
	}
	if u.development(listener) {
		u.log.Warn("nobody has to sign in: every caller of the public port is the development user, who may do everything, because it listens on loopback only and "+oidcIssuer+" is not set",
			"user", developmentUser)
		return auth.WithGuests(auth.Development(rpc.Everything(developmentUser, u.Edge)))
	}
	u.log.Warn("nobody can sign in: every caller of the public port is anonymous, because " + oidcIssuer + " is not set")
	return auth.WithGuests(auth.Anonymous)
}
