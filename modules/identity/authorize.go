package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cleave-go/cleave/platform/id"
)

const (
	// codeLife is for how long a code can be redeemed.
	codeLife = time.Minute
	// familyLife is for how long a client gets tokens after somebody has signed in there.
	familyLife = 90 * 24 * time.Hour
	maxState   = 2048
)

// authorization is what a client asks for on behalf of somebody.
type authorization struct {
	client           client
	redirectURI      string
	state, nonce     string
	scopes           []string
	challenge        string
	none, again, ask bool          // prompt
	maxAge           time.Duration // Less than zero if it does not matter.
	query            string        // All this, as it came.
}

// wrongRequest is what a client is told of its request (RFC 6749, section 4.1.2.1).
type wrongRequest struct{ code, description string }

func (e *wrongRequest) Error() string { return e.code + ": " + e.description }

// challenge is what S256 makes of a verifier.
var challenge = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// errNoClient says that nobody is led back anywhere, because nobody knows whether that is where he came from.
var errNoClient = errors.New("the client or its redirect URI is not known")

// parseAuthorization reads a request. With errNoClient there is nowhere to go; with a wrongRequest the client is told.
func (w *web) parseAuthorization(ctx context.Context, query string) (authorization, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return authorization{}, errNoClient
	}
	a := authorization{redirectURI: values.Get("redirect_uri"), state: values.Get("state"), nonce: values.Get("nonce"), challenge: values.Get("code_challenge"), maxAge: -1, query: query}
	var known bool
	if a.client, known, err = w.findClient(ctx, values.Get("client_id")); err != nil {
		return a, err
	}
	if !known || !a.client.leadsBack(a.redirectURI) || len(values["client_id"]) != 1 || len(values["redirect_uri"]) != 1 {
		return a, errNoClient
	}
	for name, all := range values {
		if len(all) > 1 {
			return a, &wrongRequest{"invalid_request", "a parameter is there more than once"}
		}
		if len(all[0]) > maxState || strings.ContainsRune(all[0], 0) {
			if name == "state" {
				a.state = ""
			}
			return a, &wrongRequest{"invalid_request", "a parameter is too long, or no text"}
		}
	}
	a.scopes = strings.Fields(values.Get("scope"))
	slices.Sort(a.scopes)
	a.scopes = slices.Compact(a.scopes)
	for _, prompt := range strings.Fields(values.Get("prompt")) {
		switch prompt {
		case "none":
			a.none = true
		case "login":
			a.again = true
		case "consent":
			a.ask = true
		}
	}
	if text := values.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return a, &wrongRequest{"invalid_request", "max_age is no number of seconds"}
		}
		a.maxAge = time.Duration(seconds) * time.Second
	}
	switch {
	case values.Has("request"):
		return a, &wrongRequest{"request_not_supported", "request objects are not supported"}
	case values.Has("request_uri"):
		return a, &wrongRequest{"request_uri_not_supported", "request objects are not supported"}
	case values.Get("response_type") != "code":
		return a, &wrongRequest{"unsupported_response_type", "response_type must be code"}
	case values.Has("response_mode") && values.Get("response_mode") != "query":
		return a, &wrongRequest{"invalid_request", "response_mode must be query"}
	case values.Get("code_challenge_method") != "S256" || !challenge.MatchString(a.challenge):
		return a, &wrongRequest{"invalid_request", "code_challenge is needed, with code_challenge_method=S256"}
	case a.none && (a.again || a.ask):
		return a, &wrongRequest{"invalid_request", "prompt=none stands alone"}
	}
	for _, scope := range a.scopes {
		if !slices.Contains(a.client.scopes, scope) {
			return a, &wrongRequest{"invalid_scope", "the client may not ask for one of the scopes"}
		}
	}
	return a, nil
}

// lead leads somebody back to the client with an answer, which says of whom it is (RFC 9207).
func (w *web) lead(out http.ResponseWriter, a authorization, answer url.Values) error {
	answer.Set("iss", w.issuer)
	if a.state != "" {
		answer.Set("state", a.state)
	}
	separator := "?"
	if strings.Contains(a.redirectURI, "?") {
		separator = "&"
	}
	return redirect(out, a.redirectURI+separator+answer.Encode())
}

func (w *web) leadWrong(out http.ResponseWriter, a authorization, wrong *wrongRequest) error {
	return w.lead(out, a, url.Values{"error": {wrong.code}, "error_description": {wrong.description}})
}

// refuseAuthorization answers a request that is not right. It reports whether the error was one of that kind.
func (w *web) refuseAuthorization(out http.ResponseWriter, r *http.Request, a authorization, err error) (bool, error) {
	var wrong *wrongRequest
	switch {
	case errors.Is(err, errNoClient):
		return true, w.show(out, r, page{Name: "wrong", Status: http.StatusBadRequest, Problem: "no_client"})
	case errors.As(err, &wrong):
		return true, w.leadWrong(out, a, wrong)
	}
	return false, err
}

// authorize is where a client sends somebody. It leads to the sign-in first if nobody is signed in, and comes back here.
func (w *web) authorize(out http.ResponseWriter, r *http.Request) error {
	a, err := w.parseAuthorization(r.Context(), r.URL.RawQuery)
	if err != nil {
		_, err = w.refuseAuthorization(out, r, a, err)
		return err
	}
	who, signedIn, err := w.session(r)
	if err != nil {
		return err
	}
	old := a.maxAge >= 0 && who.age > a.maxAge || a.again
	switch {
	case (!signedIn || old) && a.none:
		return w.leadWrong(out, a, &wrongRequest{"login_required", "nobody has signed in"})
	case !signedIn || old:
		return leadToSignIn(out, a)
	}
	asked, err := w.mustAsk(r.Context(), a, who)
	switch {
	case err != nil:
		return err
	case asked && a.none:
		return w.leadWrong(out, a, &wrongRequest{"consent_required", "the person has not allowed it"})
	case asked:
		return w.show(out, r, page{Name: "consent", Preferred: who.account.language, Client: a.client.name, Scopes: a.scopes, Request: a.query, Person: who.account.email, LeadsTo: a.redirectURI})
	}
	return w.grant(out, r, a, who)
}

// leadToSignIn leads somebody to the sign-in, and from there back to the request.
func leadToSignIn(out http.ResponseWriter, a authorization) error {
	return redirect(out, signInPath+"?"+url.Values{"continue": {authorizePath + "?" + withoutLogin(a.query)}}.Encode())
}

// returning is for how long somebody who has just signed in has done so for whoever asks that it be fresh: he needs a moment to come back.
const returning = time.Minute

// withoutLogin returns a query that does not ask to sign in again: whoever follows it has just done so. A client that wants to be sure looks at
// auth_time.
func withoutLogin(query string) string {
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	prompts := slices.DeleteFunc(strings.Fields(values.Get("prompt")), func(p string) bool { return p == "login" })
	values.Del("prompt")
	if len(prompts) > 0 {
		values.Set("prompt", strings.Join(prompts, " "))
	}
	if seconds, err := strconv.Atoi(values.Get("max_age")); err == nil && seconds < int(returning.Seconds()) {
		values.Set("max_age", strconv.Itoa(int(returning.Seconds())))
	}
	return values.Encode()
}

// consent is where somebody says whether a client may.
func (w *web) consent(out http.ResponseWriter, r *http.Request) error {
	if !w.posted(r) {
		return w.show(out, r, page{Name: "wrong", Status: http.StatusForbidden, Problem: "form"})
	}
	a, err := w.parseAuthorization(r.Context(), r.PostForm.Get("request"))
	if err != nil {
		_, err = w.refuseAuthorization(out, r, a, err)
		return err
	}
	who, signedIn, err := w.session(r)
	switch {
	case err != nil:
		return err
	case !signedIn:
		return leadToSignIn(out, a)
	case r.PostForm.Get("decision") != "allow":
		return w.leadWrong(out, a, &wrongRequest{"access_denied", "the person has not allowed it"})
	}
	// If the session has ended meanwhile grant says so.
	_, err = w.store.Pool().Exec(r.Context(), `INSERT INTO consent (account_id, client_id, scopes) SELECT account_id, $2, $3::jsonb FROM session WHERE id = $1 AND expire_time > now() FOR SHARE
		ON CONFLICT (account_id, client_id) DO UPDATE SET scopes = (SELECT coalesce(jsonb_agg(DISTINCT scope), '[]') FROM jsonb_array_elements(consent.scopes || excluded.scopes) AS scope)`, who.id, a.client.id, list(a.scopes))
	if err != nil {
		return fmt.Errorf("write down what somebody allows: %w", err)
	}
	return w.grant(out, r, a, who)
}

// mustAsk reports whether somebody has yet to say that a client may.
func (w *web) mustAsk(ctx context.Context, a authorization, who session) (bool, error) {
	if a.client.trusted {
		return false, nil
	}
	var allowed []string
	err := w.store.Pool().QueryRow(ctx, "SELECT scopes FROM consent WHERE account_id = $1 AND client_id = $2", who.account.id, a.client.id).Scan(&allowed)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("look at what somebody allows: %w", err)
	}
	return err != nil || a.ask || slices.ContainsFunc(a.scopes, func(scope string) bool { return !slices.Contains(allowed, scope) }), nil
}

// grant begins a family of tokens and gives the client a code for it, if the session still lives: whoever ends it waits for this, and ends the
// family as well.
func (w *web) grant(out http.ResponseWriter, r *http.Request, a authorization, who session) error {
	code, hash := newSecret()
	lives := false
	err := w.store.Tx(r.Context(), func(ctx context.Context, tx tx) error {
		familyID := id.New("fam")
		tag, err := tx.Exec(ctx, `INSERT INTO family (id, client_id, account_id, session_id, scopes, nonce, auth_time, expire_time)
			SELECT $1, $2, account_id, id, $4::jsonb, $5, create_time, now() + $6::interval FROM session WHERE id = $3 AND expire_time > now() FOR SHARE`,
			familyID, a.client.id, who.id, list(a.scopes), a.nonce, familyLife)
		if lives = err == nil && tag.RowsAffected() > 0; !lives {
			return err
		}
		audit(ctx, tx, audited{event: "authorized", accountID: who.account.id, clientID: a.client.id, sessionID: who.id})
		tx.Defer("INSERT INTO code (hash, family_id, client_id, redirect_uri, challenge, expire_time) VALUES ($1, $2, $3, $4, $5, now() + $6::interval)",
			hash, familyID, a.client.id, a.redirectURI, a.challenge, codeLife)
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("write a code: %w", err)
	case !lives && a.none:
		return w.leadWrong(out, a, &wrongRequest{"login_required", "nobody has signed in"})
	case !lives:
		return leadToSignIn(out, a)
	}
	return w.lead(out, a, url.Values{"code": {code}})
}
