package identity

import (
	"net/http"
)

// The paths of the provider. They are in the contract, too.
const (
	discoveryPath     = "/.well-known/openid-configuration"
	keysPath          = "/oauth/keys"
	authorizePath     = "/oauth/authorize"
	tokenPath         = "/oauth/token"
	userinfoPath      = "/oauth/userinfo"
	introspectionPath = "/oauth/introspect"
	revocationPath    = "/oauth/revoke"
	signInPath        = "/signin"
	registrationPath  = "/register"
	resetPath         = "/reset"
	passwordPath      = "/password"
	devicesPath       = "/devices"
	accountPath       = "/account"
	emailPath         = "/email"
	signOutPath       = "/signout"
)

// The scopes that mean something to the provider itself.
const (
	openIDScope  = "openid"
	profileScope = "profile"
	emailScope   = "email"
	offlineScope = "offline_access"
	// introspectScope lets a client ask about the access tokens of others: a resource server, which people and apps show them to.
	introspectScope = "tokens:introspect"
)

// discovery serves what clients have to know (OpenID Connect Discovery 1.0, section 3; RFC 8414).
func (w *web) discovery(out http.ResponseWriter, _ *http.Request) error {
	out.Header().Set("Cache-Control", "max-age=600")
	clientAuth := []string{"client_secret_basic", "client_secret_post"}
	return writeJSON(out, http.StatusOK, map[string]any{
		"issuer":                                         w.issuer,
		"authorization_endpoint":                         w.issuer + authorizePath,
		"token_endpoint":                                 w.issuer + tokenPath,
		"userinfo_endpoint":                              w.issuer + userinfoPath,
		"jwks_uri":                                       w.issuer + keysPath,
		"introspection_endpoint":                         w.issuer + introspectionPath,
		"revocation_endpoint":                            w.issuer + revocationPath,
		"scopes_supported":                               []string{openIDScope, profileScope, emailScope, offlineScope},
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token", "client_credentials"},
		"code_challenge_methods_supported":               []string{"S256"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"RS256"},
		"claims_supported":                               []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "name", "email", "email_verified"},
		"ui_locales_supported":                           []string{"en", "de"},
		"prompt_values_supported":                        []string{"none", "login", "consent"},
		"token_endpoint_auth_methods_supported":          append([]string{"none"}, clientAuth...),
		"introspection_endpoint_auth_methods_supported":  clientAuth,
		"revocation_endpoint_auth_methods_supported":     append([]string{"none"}, clientAuth...),
		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	})
}

// keys serves the keys that tokens are verified with.
func (w *web) keys(out http.ResponseWriter, r *http.Request) error {
	set, _, err := w.keySet(r.Context())
	if err != nil {
		return err
	}
	out.Header().Set("Cache-Control", "max-age=600")
	return writeJSON(out, http.StatusOK, set)
}
