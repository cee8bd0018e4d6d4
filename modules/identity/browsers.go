package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/jackc/pgx/v5"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	webv1 "github.com/cleave-go/cleave/gen/cleave/platform/web/v1"
)

// browsers implements BrowserService.
type browsers struct{ *service }

// ReadSession tells the edge who is signed in: with the roles that the account has now, as a token would say that is given now.
func (b browsers) ReadSession(ctx context.Context, r *identityv1.ReadSessionRequest) (*identityv1.ReadSessionResponse, error) {
	session := &webv1.Session{Issuer: b.issuer}
	err := b.store.Pool().QueryRow(ctx, `SELECT a.id, a.roles FROM session AS s JOIN account AS a ON a.id = s.account_id
		WHERE s.hash = $1 AND s.expire_time > now() AND a.state = $2`, r.GetHash(), string(active)).Scan(&session.Subject, &session.Roles)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("load a session: %w", err)
	}
	return &identityv1.ReadSessionResponse{Session: session}, nil
}

// postAuthorize is where a client posts what it asks for (OpenID Connect Core 1.0, section 3.1.2.1), and where the page posts on which somebody
// says whether it may. The first changes nothing: it leads on to the same, got, which is where cookies count.
func (w *web) postAuthorize(out http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil || !r.PostForm.Has("client_id") {
		return w.consent(out, r)
	}
	asked := r.PostForm.Encode()
	if len(asked) > maxAuthorization {
		return w.show(out, r, page{Name: "wrong", Status: http.StatusBadRequest, Problem: "no_client"})
	}
	return redirect(out, (&url.URL{Path: authorizePath, RawQuery: asked}).String())
}

// maxAuthorization is how long a request can be that was posted, in bytes: as a URL it still goes through what is before the edge.
const maxAuthorization = 6 << 10
