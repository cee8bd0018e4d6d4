package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/id"
)

const (
	// tokenLife is for how long an access token is good: whoever has one asks nobody until then.
	tokenLife = 10 * time.Minute
	// refreshLife is for how long a refresh token waits to be used.
	refreshLife = 30 * 24 * time.Hour
	// refreshGrace is for how long a refresh token that was used can be used again: the answer may have been lost on its way, and two tabs
	// of a browser may ask at the same time. After that it is somebody else who uses it.
	refreshGrace = 30 * time.Second
)

// tokenError is what a client is told at the token endpoint (RFC 6749, section 5.2).
type tokenError struct {
	status int
	Code   string `json:"error"`
	Text   string `json:"error_description"`
}

func (e *tokenError) Error() string { return e.Code + ": " + e.Text }

func invalidGrant(text string) error {
	return &tokenError{http.StatusBadRequest, "invalid_grant", text}
}

func invalidRequest(text string) error {
	return &tokenError{http.StatusBadRequest, "invalid_request", text}
}

// answerClient answers a request of a client with a document, or with what is wrong.
func answerClient(out http.ResponseWriter, document any, err error) error {
	var wrong *tokenError
	if errors.As(err, &wrong) {
		if wrong.status == http.StatusUnauthorized {
			out.Header().Set("WWW-Authenticate", `Basic realm="cleave"`)
		}
		return writeJSON(out, wrong.status, wrong)
	}
	if err != nil {
		return err
	}
	return writeJSON(out, http.StatusOK, document)
}

// form reads what a client posts. A parameter that is there twice is refused.
func form(r *http.Request) (url.Values, error) {
	if err := r.ParseForm(); err != nil {
		return nil, invalidRequest("the form cannot be read")
	}
	for _, all := range r.PostForm {
		if len(all) > 1 || strings.ContainsRune(all[0], 0) {
			return nil, invalidRequest("a parameter is there more than once, or no text")
		}
	}
	return r.PostForm, nil
}

// authenticate returns the client that makes a request: by its secret, in the header or in the form, or by its name if it has none.
func (w *web) authenticate(r *http.Request, values url.Values) (client, error) {
	wrong := &tokenError{http.StatusUnauthorized, "invalid_client", "the client is not known, or its secret is wrong"}
	clientID, secret := values.Get("client_id"), values.Get("client_secret")
	if name, password, ok := r.BasicAuth(); ok {
		if values.Get("client_secret") != "" { // One that is empty was left out (section 3.2).
			return client{}, invalidRequest("the client shows its secret twice")
		}
		var nameErr, passwordErr error
		name, nameErr = url.QueryUnescape(name) // RFC 6749, section 2.3.1.
		password, passwordErr = url.QueryUnescape(password)
		if nameErr != nil || passwordErr != nil || clientID != "" && clientID != name || strings.ContainsRune(name, 0) {
			return client{}, wrong
		}
		clientID, secret = name, password
	} else if len(r.Header.Values("Authorization")) > 0 {
		return client{}, wrong
	}
	c, known, err := w.findClient(r.Context(), clientID)
	switch {
	case err != nil:
		return client{}, err
	case !known, c.secretHash != nil && !c.secretIs(secret), c.secretHash == nil && secret != "":
		return client{}, wrong
	}
	return c, nil
}

// tokens is what a client gets.
type tokens struct {
	Access    string `json:"access_token"`
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Scope     string `json:"scope"`
	Refresh   string `json:"refresh_token,omitempty"`
	ID        string `json:"id_token,omitempty"`
}

// token gives a client tokens.
func (w *web) token(out http.ResponseWriter, r *http.Request) error {
	given, err := w.give(r)
	return answerClient(out, given, err)
}

func (w *web) give(r *http.Request) (*tokens, error) {
	values, err := form(r)
	if err != nil {
		return nil, err
	}
	c, err := w.authenticate(r, values)
	if err != nil {
		return nil, err
	}
	key, err := w.signer(r.Context()) // First, so that nothing is spent when there is none to be had.
	if err != nil {
		return nil, err
	}
	switch values.Get("grant_type") {
	case "authorization_code":
		return w.redeemCode(r.Context(), key, c, values)
	case "refresh_token":
		return w.refresh(r.Context(), key, c, values)
	case "client_credentials":
		return w.giveClient(key, c, values)
	}
	return nil, &tokenError{http.StatusBadRequest, "unsupported_grant_type", "grant_type must be authorization_code, refresh_token or client_credentials"}
}

// family is a row, with what is said of the person.
type family struct {
	id, nonce string
	scopes    []string
	began     time.Time // When the person signed in.
	account   account
}

// findFamily returns a family that may still have tokens, and whether there is one: it was not ended, and its person may sign in.
func findFamily(ctx context.Context, q querier, familyID, clientID string) (f family, ok bool, err error) {
	rows, _ := q.Query(ctx, `SELECT f.id, f.nonce, f.scopes, f.auth_time, a.id, coalesce(a.email, ''), a.name, a.email_verified, a.roles
		FROM family AS f JOIN account AS a ON a.id = f.account_id
		WHERE f.id = $1 AND f.client_id = $2 AND f.end_time IS NULL AND f.expire_time > now() AND a.state = $3`, familyID, clientID, string(active))
	f, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (f family, err error) {
		return f, row.Scan(&f.id, &f.nonce, &f.scopes, &f.began, &f.account.id, &f.account.email, &f.account.name, &f.account.verified, &f.account.roles)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return family{}, false, nil
	}
	if err != nil {
		return family{}, false, fmt.Errorf("load a family of tokens: %w", err)
	}
	return f, true, nil
}

// endFamily ends all tokens of a family.
func endFamily(ctx context.Context, tx tx, familyID, clientID, event string) {
	tx.Defer("UPDATE family SET end_time = now() WHERE id = $1 AND client_id = $2 AND end_time IS NULL", familyID, clientID)
	audit(ctx, tx, audited{event: event, clientID: clientID})
}

// redeemCode gives tokens for a code. Of those who show the same code one gets them: the update finds it unused once. A second one ends
// what the first has got (RFC 6749, section 4.1.2).
func (w *web) redeemCode(ctx context.Context, key *signer, c client, values url.Values) (given *tokens, err error) {
	hash := hashSecret(values.Get("code"))
	var wrong error
	var f family
	refresh := ""
	err = w.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		wrong, refresh = nil, ""
		var familyID, redirectURI, challenge string
		err := tx.QueryRow(ctx, `UPDATE code SET redeem_time = now() WHERE hash = $1 AND client_id = $2 AND redeem_time IS NULL AND expire_time > now()
			RETURNING family_id, redirect_uri, challenge`, hash, c.id).Scan(&familyID, &redirectURI, &challenge)
		if errors.Is(err, pgx.ErrNoRows) {
			wrong = invalidGrant("the code is not good any more, or not this client's")
			err = tx.QueryRow(ctx, "SELECT family_id FROM code WHERE hash = $1 AND client_id = $2 AND redeem_time IS NOT NULL", hash, c.id).Scan(&familyID)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil
			}
			if err == nil {
				endFamily(ctx, tx, familyID, c.id, "code_reused")
			}
			return err
		}
		if err != nil {
			return err
		}
		verifier := sha256.Sum256([]byte(values.Get("code_verifier")))
		if redirectURI != values.Get("redirect_uri") || base64.RawURLEncoding.EncodeToString(verifier[:]) != challenge {
			wrong = invalidGrant("redirect_uri or code_verifier is not that of the request") // The code is spent.
			return nil
		}
		var ok bool
		if f, ok, err = findFamily(ctx, tx, familyID, c.id); err != nil {
			return err
		}
		if !ok {
			wrong = invalidGrant("the person may not sign in any more")
			return nil
		}
		if slices.Contains(f.scopes, offlineScope) {
			refresh, err = addRefresh(ctx, tx, familyID, c.id, 0)
		}
		return err
	})
	if err = errors.Join(wrong, err); err != nil {
		return nil, err
	}
	return w.giveFamily(key, c, f, f.scopes, refresh, f.nonce)
}

// addRefresh returns the next refresh token of a family, which is given for another; 0 for none.
func addRefresh(ctx context.Context, tx tx, familyID, clientID string, parentID int64) (string, error) {
	text, hash := newSecret()
	_, err := tx.Exec(ctx, "INSERT INTO refresh_token (hash, family_id, client_id, parent_id, expire_time) VALUES ($1, $2, $3, $4, now() + $5::interval)",
		hash, familyID, clientID, parentID, refreshLife)
	if err != nil {
		return "", fmt.Errorf("write a refresh token: %w", err)
	}
	return text, nil
}

// bothUsed reports whether a token that is used now was given for the same one as another that was used, too. A client whose answer was lost
// has only one of them: somebody else has the other. It waits for whoever uses that one at this moment.
func bothUsed(ctx context.Context, tx tx, familyID string, tokenID, parentID int64) (both bool, err error) {
	if parentID == 0 {
		return false, nil
	}
	if _, err = tx.Exec(ctx, "SELECT FROM family WHERE id = $1 FOR UPDATE", familyID); err == nil {
		err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM refresh_token WHERE family_id = $1 AND parent_id = $2 AND id <> $3 AND redeem_time IS NOT NULL)",
			familyID, parentID, tokenID).Scan(&both)
	}
	if err != nil {
		return false, fmt.Errorf("look for another of the refresh token: %w", err)
	}
	return both, nil
}

// refresh gives tokens for a refresh token, and the next one. One that is used again, later than by a client whose answer was lost, ends the
// family: somebody has stolen it, or its successor. So does one when another was given for the same and was used as well.
func (w *web) refresh(ctx context.Context, key *signer, c client, values url.Values) (given *tokens, err error) {
	hash := hashSecret(values.Get("refresh_token"))
	var wrong error
	var f family
	var scopes []string
	var next string
	err = w.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		wrong = nil
		var familyID string
		var tokenID, parentID int64
		var late bool
		// It waits for whoever shows the same token at this moment.
		err := tx.QueryRow(ctx, `UPDATE refresh_token SET redeem_time = coalesce(redeem_time, now()) WHERE hash = $1 AND client_id = $2 AND expire_time > now()
			RETURNING family_id, id, parent_id, redeem_time < now() - $3::interval`, hash, c.id, refreshGrace).Scan(&familyID, &tokenID, &parentID, &late)
		if errors.Is(err, pgx.ErrNoRows) {
			wrong = invalidGrant("the refresh token is not good any more, or not this client's")
			return nil
		}
		if err != nil {
			return err
		}
		both, err := bothUsed(ctx, tx, familyID, tokenID, parentID)
		if err != nil {
			return err
		}
		if late || both {
			wrong = invalidGrant("the refresh token was used before: sign in again")
			endFamily(ctx, tx, familyID, c.id, "refresh_reused")
			return nil
		}
		var ok bool
		if f, ok, err = findFamily(ctx, tx, familyID, c.id); err != nil {
			return err
		}
		if !ok {
			wrong = invalidGrant("the sign-in was ended")
			return nil
		}
		scopes = askedScopes(values, f.scopes)
		if slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(f.scopes, scope) }) {
			return &tokenError{http.StatusBadRequest, "invalid_scope", "the person has not allowed that"} // The token is not spent.
		}
		next, err = addRefresh(ctx, tx, familyID, c.id, tokenID)
		return err
	})
	if err = errors.Join(wrong, err); err != nil {
		return nil, err
	}
	return w.giveFamily(key, c, f, scopes, next, "")
}

// askedScopes returns the scopes that a client asks for: all that it may have if it names none.
func askedScopes(values url.Values, all []string) []string {
	if asked := strings.Fields(values.Get("scope")); len(asked) > 0 {
		return asked
	}
	return all
}

// giveClient gives a client tokens in its own name.
func (w *web) giveClient(key *signer, c client, values url.Values) (*tokens, error) {
	if c.secretHash == nil || len(c.redirectURIs) > 0 {
		return nil, &tokenError{http.StatusBadRequest, "unauthorized_client", "this is for service accounts: confidential clients without a redirect URI"}
	}
	scopes := askedScopes(values, c.scopes)
	for _, scope := range scopes {
		if !slices.Contains(c.scopes, scope) || scope == openIDScope || scope == offlineScope {
			return nil, &tokenError{http.StatusBadRequest, "invalid_scope", "the client may not ask for that"}
		}
	}
	access, err := w.accessToken(key, map[string]any{"sub": c.id, "client_id": c.id, "roles": list(c.roles)}, scopes)
	return &tokens{Access: access, Type: "Bearer", ExpiresIn: int(tokenLife.Seconds()), Scope: strings.Join(scopes, " ")}, err
}

// giveFamily makes the tokens of a family.
func (w *web) giveFamily(key *signer, c client, f family, scopes []string, refresh, nonce string) (*tokens, error) {
	given := &tokens{Type: "Bearer", ExpiresIn: int(tokenLife.Seconds()), Scope: strings.Join(scopes, " "), Refresh: refresh}
	var err error
	given.Access, err = w.accessToken(key, map[string]any{
		"sub": f.account.id, "client_id": c.id, "roles": list(f.account.roles), "sid": f.id, "auth_time": f.began.Unix(),
	}, scopes)
	if err != nil || !slices.Contains(scopes, openIDScope) {
		return given, err
	}
	half := sha256.Sum256([]byte(given.Access)) // OpenID Connect Core 1.0, section 3.1.3.6.
	claims := w.about(f.account, scopes)
	for name, value := range map[string]any{
		"iss": w.issuer, "aud": c.id, "auth_time": f.began.Unix(), "at_hash": base64.RawURLEncoding.EncodeToString(half[:16]),
	} {
		claims[name] = value
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	given.ID, err = key.claim("JWT", claims)
	return given, err
}

// about returns what the scopes allow to know of a person.
func (w *web) about(a account, scopes []string) map[string]any {
	claims := map[string]any{"sub": a.id}
	if slices.Contains(scopes, emailScope) {
		claims["email"], claims["email_verified"] = a.email, a.verified
	}
	if slices.Contains(scopes, profileScope) && a.name != "" {
		claims["name"] = a.name
	}
	return claims
}

// accessToken makes an access token (RFC 9068). It is for this house.
func (w *web) accessToken(key *signer, claims map[string]any, scopes []string) (string, error) {
	claims["iss"], claims["aud"], claims["jti"], claims["scope"] = w.issuer, w.issuer, id.New("jti"), strings.Join(scopes, " ")
	return key.claim("at+jwt", claims)
}

// claim signs claims that are true from now on and for tokenLife.
func (k *signer) claim(typ string, claims map[string]any) (string, error) {
	claims["iat"], claims["exp"] = k.now.Unix(), k.now.Add(tokenLife).Unix()
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := k.sign(typ, text)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}
