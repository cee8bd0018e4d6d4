package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"
)

// accessClaims are what an access token of ours says.
type accessClaims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	FamilyID string `json:"sid"`
	Scope    string `json:"scope"`
	Expires  int64  `json:"exp"`
	Issued   int64  `json:"iat"`
	ID       string `json:"jti"`
}

// readAccess returns what an access token says, and whether it is ours and good at this moment: its family may have been ended.
func (w *web) readAccess(ctx context.Context, text string) (claims accessClaims, f family, ok bool, err error) {
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || signed.Signatures[0].Protected.ExtraHeaders[jose.HeaderType] != "at+jwt" {
		return claims, f, false, nil
	}
	set, now, err := w.keySet(ctx)
	if err != nil {
		return claims, f, false, err
	}
	for _, public := range set.Key(signed.Signatures[0].Protected.KeyID) {
		payload, err := signed.Verify(public)
		if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Issuer != w.issuer || claims.Audience != w.issuer || now.Unix() >= claims.Expires {
			continue
		}
		if claims.FamilyID == "" { // A service account's own.
			_, known, err := w.findClient(ctx, claims.ClientID)
			return claims, f, known, err
		}
		f, ok, err = findFamily(ctx, w.store.Pool(), claims.FamilyID, claims.ClientID)
		return claims, f, ok, err
	}
	return claims, f, false, nil
}

// userinfo serves what an access token allows to know of its person.
func (w *web) userinfo(out http.ResponseWriter, r *http.Request) error {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if text == "" || !strings.EqualFold(scheme, "Bearer") {
		out.Header().Set("WWW-Authenticate", "Bearer")
		return writeJSON(out, http.StatusUnauthorized, &tokenError{Code: "invalid_request", Text: "send the access token as Authorization: Bearer"})
	}
	claims, f, ok, err := w.readAccess(r.Context(), strings.TrimSpace(text))
	if err != nil {
		return err
	}
	scopes := strings.Fields(claims.Scope)
	switch {
	case !ok || f.id == "":
		out.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		return writeJSON(out, http.StatusUnauthorized, &tokenError{Code: "invalid_token", Text: "the access token is not good, or of no person"})
	case !slices.Contains(scopes, openIDScope):
		out.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="openid"`)
		return writeJSON(out, http.StatusForbidden, &tokenError{Code: "insufficient_scope", Text: "the access token does not have the scope openid"})
	}
	return writeJSON(out, http.StatusOK, w.about(f.account, scopes))
}

// introspect tells a client whether a token is good at this moment (RFC 7662): one of its own, or anybody's access token if it has the scope for
// that. Of others it tells nothing.
func (w *web) introspect(out http.ResponseWriter, r *http.Request) error {
	answer, err := w.inspect(r)
	return answerClient(out, answer, err)
}

func (w *web) inspect(r *http.Request) (any, error) {
	values, err := form(r)
	if err != nil {
		return nil, err
	}
	c, err := w.authenticate(r, values)
	if err != nil {
		return nil, err
	}
	if c.secretHash == nil {
		return nil, &tokenError{http.StatusUnauthorized, "invalid_client", "this is for clients that show a secret"}
	}
	inactive := map[string]any{"active": false}
	claims, _, ok, err := w.readAccess(r.Context(), values.Get("token"))
	switch {
	case err != nil:
		return nil, err
	case ok && (claims.ClientID == c.id || slices.Contains(c.scopes, introspectScope)):
		return map[string]any{
			"active": true, "token_type": "Bearer", "iss": w.issuer, "aud": w.issuer, "sub": claims.Subject, "client_id": claims.ClientID, "scope": claims.Scope,
			"exp": claims.Expires, "iat": claims.Issued, "jti": claims.ID,
		}, nil
	}
	f, expires, ok, err := w.findRefresh(r.Context(), c, values.Get("token"))
	if err != nil || !ok {
		return inactive, err
	}
	return map[string]any{
		"active": true, "iss": w.issuer, "sub": f.account.id, "client_id": c.id, "scope": strings.Join(f.scopes, " "), "exp": expires.Unix(),
	}, nil
}

// findRefresh returns the family of a refresh token of the client that nobody has used yet.
func (w *web) findRefresh(ctx context.Context, c client, text string) (f family, expires time.Time, ok bool, err error) {
	var familyID string
	err = w.store.Pool().QueryRow(ctx, "SELECT family_id, expire_time FROM refresh_token WHERE hash = $1 AND client_id = $2 AND redeem_time IS NULL AND expire_time > now()",
		hashSecret(text), c.id).Scan(&familyID, &expires)
	if errors.Is(err, pgx.ErrNoRows) {
		return f, expires, false, nil
	}
	if err != nil {
		return f, expires, false, fmt.Errorf("load a refresh token: %w", err)
	}
	f, ok, err = findFamily(ctx, w.store.Pool(), familyID, c.id)
	return f, expires, ok, err
}

// revoke ends the family of a token of the client (RFC 7009). It does not tell whether there was one.
func (w *web) revoke(out http.ResponseWriter, r *http.Request) error {
	return answerClient(out, struct{}{}, w.revokeToken(r))
}

func (w *web) revokeToken(r *http.Request) error {
	values, err := form(r)
	if err != nil {
		return err
	}
	c, err := w.authenticate(r, values)
	if err != nil {
		return err
	}
	claims, _, ok, err := w.readAccess(r.Context(), values.Get("token"))
	if err != nil {
		return err
	}
	familyID := ""
	if ok && claims.ClientID == c.id {
		familyID = claims.FamilyID
	} else {
		err := w.store.Pool().QueryRow(r.Context(), "SELECT family_id FROM refresh_token WHERE hash = $1 AND client_id = $2", hashSecret(values.Get("token")), c.id).Scan(&familyID)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("load a refresh token: %w", err)
		}
	}
	if familyID == "" {
		return nil
	}
	return w.store.Tx(r.Context(), func(ctx context.Context, tx tx) error {
		endFamily(ctx, tx, familyID, c.id, "revoked")
		return nil
	})
}
