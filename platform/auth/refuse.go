package auth

import (
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/rpc"
)

// The reasons of refusals, for machines.
const (
	reasonInvalid = "TOKEN_INVALID"
	reasonExpired = "TOKEN_EXPIRED" // A new one may help.
)

// invalid refuses a token. The sentence repeats nothing of it.
func invalid(sentence string) error { return refusal(reasonInvalid, sentence) }

// refusal returns an error that also says over HTTP what it means (RFC 6750, section 3).
func refusal(reason, sentence string) error {
	err := rpc.Errorf(connect.CodeUnauthenticated, reason, "%s", sentence)
	var connectErr *connect.Error
	if errors.As(err, &connectErr) {
		connectErr.Meta().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q, error_description=%q", "invalid_token", sentence))
	}
	return err
}

// unavailable says that nobody can tell at present whether a token is good.
func unavailable() error {
	return rpc.Errorf(connect.CodeUnavailable, "", "access tokens cannot be checked: the keys of their issuer cannot be fetched; try again later")
}
