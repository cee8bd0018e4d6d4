package auth

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	// leeway is by how much the clocks of the issuer and of this machine may differ.
	leeway = 30 * time.Second
	// maxWords bounds the roles and the scopes of a token.
	maxWords = 100
	// personRole is the role of a person whose token has none.
	personRole = "customer"
)

// claims are what a token says.
type claims map[string]any

// rules say which claims make a good access token.
type rules struct{ issuer, audience, roles string }

// check returns in whose name a token is, and until when.
func (r rules) check(c claims, now time.Time) (p rpc.Principal, until time.Time, err error) {
	if until, err = r.checkTimes(c, now); err != nil {
		return p, until, err
	}
	if err := r.checkPurpose(c); err != nil {
		return p, until, err
	}
	if p.Subject, _ = c["sub"].(string); !rpc.ValidID(p.Subject) {
		return rpc.Principal{}, until, invalid("the access token does not say whose it is, or not in 1 to 128 visible ASCII characters")
	}
	if rpc.IsGuest(p.Subject) { // Or an issuer that lets people choose could make somebody another's guest.
		return rpc.Principal{}, until, invalid("the access token says whose it is in a way that is kept for guests")
	}
	var rolesOK, scopesOK bool
	p.Roles, rolesOK = words(lookup(c, r.roles))
	scopes := c["scope"]
	if scopes == nil {
		scopes = c["scp"]
	}
	p.Scopes, scopesOK = words(scopes)
	switch {
	case !rolesOK:
		return rpc.Principal{}, until, invalid("the roles of the access token cannot be read, or are more than 100")
	case !scopesOK:
		return rpc.Principal{}, until, invalid("the scopes of the access token cannot be read, or are more than 100")
	case len(p.Roles) == 0 && !c.ofProgram():
		p.Roles = []string{personRole}
	}
	return p, until, nil
}

// checkTimes returns until when the token is good.
func (r rules) checkTimes(c claims, now time.Time) (until time.Time, err error) {
	expiry, expires, ok := c.time("exp")
	begin, begins, beginOK := c.time("nbf")
	issued, dated, issuedOK := c.time("iat")
	switch {
	case !ok || !beginOK || !issuedOK:
		return until, invalid("the access token has a time that is none")
	case !expires:
		return until, invalid("the access token does not say when it expires")
	}
	until = expiry.Add(leeway)
	switch {
	case !now.Before(until):
		return until, refusal(reasonExpired, "the access token has expired")
	case begins && begin.After(now.Add(leeway)), dated && issued.After(now.Add(leeway)):
		return until, invalid("the access token is not valid yet")
	}
	return until, nil
}

// checkPurpose refuses tokens that somebody else has issued, or that were made for something else.
func (r rules) checkPurpose(c claims) error {
	if c["iss"] != r.issuer {
		return invalid("the access token is of another issuer")
	}
	audiences, _ := c["aud"].([]any)
	if c["aud"] != r.audience && !slices.Contains(audiences, any(r.audience)) {
		return invalid("the access token is for another audience")
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if c[name] != nil {
			return invalid("this is an ID token, which tells an app who has signed in: send the access token")
		}
	}
	// How Keycloak and Amazon Cognito say it.
	for name, good := range map[string]string{"typ": "bearer", "token_use": "access"} {
		if said, _ := c[name].(string); c[name] != nil && strings.ToLower(said) != good {
			return invalid("the token is of another type than access tokens")
		}
	}
	if c["events"] != nil {
		return invalid("the token is of another type than access tokens")
	}
	if c["cnf"] != nil { // Whoever has stolen it could use it.
		return invalid("the access token is bound to a key of its client, which is not supported")
	}
	return nil
}

// ofProgram reports whether the token is a program's own, got with its credentials, and of no person: it names the client as its
// subject (RFC 9068; Okta calls it cid), or says so as Auth0, Microsoft Entra and Keycloak do.
func (c claims) ofProgram() bool {
	if c["gty"] == "client-credentials" || c["idtyp"] == "app" {
		return true
	}
	for _, name := range []string{"client_id", "azp", "cid"} {
		if client, _ := c[name].(string); client != "" && (c["sub"] == client || c["preferred_username"] == "service-account-"+strings.ToLower(client)) {
			return true
		}
	}
	return false
}

// maxTime is the last second of the year 9999.
const maxTime = 253402300799

// time returns a time, and whether there is one. It is not ok if what there is cannot be one.
func (c claims) time(name string) (t time.Time, there, ok bool) {
	if c[name] == nil {
		return t, false, true
	}
	seconds, ok := c[name].(float64)
	if !ok || seconds < 0 || seconds > maxTime {
		return t, true, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true, true
}

// lookup returns a claim by its name, which may have dots in it, or else by a path of names with dots between them.
func lookup(in map[string]any, path string) any {
	if value, there := in[path]; there {
		return value
	}
	for i, char := range path {
		if inner, _ := in[path[:i]].(map[string]any); char == '.' && inner != nil {
			if value := lookup(inner, path[i+1:]); value != nil {
				return value
			}
		}
	}
	return nil
}

// words returns the words of a claim: a list, a text with spaces between them, or, as Zitadel has it, an object with a member for
// each. A word that no rule could name is left out.
func words(claim any) (list []string, ok bool) {
	switch claim := claim.(type) {
	case nil:
	case string:
		list = strings.Fields(claim)
	case []any:
		for _, item := range claim {
			word, isText := item.(string)
			if !isText {
				return nil, false
			}
			list = append(list, word)
		}
	case map[string]any:
		for _, value := range claim {
			if _, isObject := value.(map[string]any); !isObject {
				return nil, false
			}
		}
		list = slices.Sorted(maps.Keys(claim))
	default:
		return nil, false
	}
	list = slices.DeleteFunc(list, func(word string) bool { return !rpc.ValidID(word) })
	return list, len(list) <= maxWords
}
