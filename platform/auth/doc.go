// Package auth tells who calls the public port: it verifies the access tokens (RFC 9068, or what the issuers of before it send) of one
// OpenID Connect issuer, any that publishes its keys. Without an issuer, everybody is anonymous, or on a laptop the development user.
//
// It owns the issuer's keys – when they are fetched, how long they are believed – and what makes a token good. It does not own what
// the caller may do: that is the callee's chain; nor signing in: that is the issuer.
package auth
