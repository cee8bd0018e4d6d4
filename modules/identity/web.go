package identity

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
	platformweb "github.com/cleave-go/cleave/platform/web"
)

// web implements WebService: the pages and the endpoints of the provider.
type web struct {
	*service
	mux *http.ServeMux
	// secure says that the public port is reached by TLS, so that cookies go no other way.
	secure bool
}

func newWeb(s *service) *web {
	w := &web{service: s, mux: http.NewServeMux(), secure: strings.HasPrefix(s.issuer, "https://")}
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET " + discoveryPath:      w.discovery,
		"GET " + keysPath:           w.keys,
		"GET " + authorizePath:      w.authorize,
		"POST " + authorizePath:     w.postAuthorize,
		"POST " + tokenPath:         w.token,
		userinfoPath:                w.userinfo,
		"POST " + introspectionPath: w.introspect,
		"POST " + revocationPath:    w.revoke,
		"GET " + signInPath:         w.showSignIn,
		"POST " + signInPath:        w.postSignIn,
		"GET " + registrationPath:   w.showRegistration,
		"POST " + registrationPath:  w.postRegistration,
		"GET " + resetPath:          w.showReset,
		"POST " + resetPath:         w.postReset,
		"GET " + passwordPath:       w.showPassword,
		"POST " + passwordPath:      w.postPassword,
		"GET " + devicesPath:        w.showDevices,
		"POST " + devicesPath:       w.postDevices,
		"GET " + accountPath:        w.showAccount,
		"POST " + accountPath:       w.postAccount,
		"GET " + emailPath:          w.showEmail,
		"POST " + emailPath:         w.postEmail,
		"GET " + signOutPath:        w.showSignOut,
		"POST " + signOutPath:       w.postSignOut,
	} {
		w.mux.HandleFunc(pattern, func(out http.ResponseWriter, r *http.Request) {
			if err := serve(out, r); err != nil {
				*r.Context().Value(failureKey{}).(*error) = err
			}
		})
	}
	return w
}

type failureKey struct{}

// Visit serves a page. One that fails for reasons that its visitor has nothing to do with fails as any method does.
func (w *web) Visit(ctx context.Context, r *identityv1.VisitRequest) (*identityv1.VisitResponse, error) {
	var failure error
	answer := platformweb.Serve(context.WithValue(ctx, failureKey{}, &failure), w.mux, r.GetRequest())
	switch {
	case errors.Is(failure, errBusy):
		return nil, rpc.Errorf(connect.CodeUnavailable, "BUSY", "%s: try again in a moment", errBusy)
	case failure != nil:
		return nil, db.Unavailable(failure)
	}
	return &identityv1.VisitResponse{Response: answer}, nil
}

// The cookies. Where there is TLS their names have a prefix by which a browser takes them from this host alone.
const (
	sessionCookie = "cleave_session"
	deviceCookie  = "cleave_device"
	formCookie    = "cleave_form"
)

func (w *web) cookieName(name string) string {
	if w.secure {
		return "__Host-" + name
	}
	return name
}

// setCookie sets a cookie that no script sees and that goes along with no request of another site but when a link leads here. Empty removes it.
func (w *web) setCookie(out http.ResponseWriter, name, value string, seconds int) {
	if value == "" {
		seconds = -1
	}
	http.SetCookie(out, &http.Cookie{
		Name: w.cookieName(name), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: w.secure, SameSite: http.SameSiteLaxMode,
	})
}

// keep has a browser keep what somebody is signed in and known by there.
func (w *web) keep(out http.ResponseWriter, cookie, known string) {
	w.setCookie(out, sessionCookie, cookie, int(sessionLife.Seconds()))
	w.setCookie(out, deviceCookie, known, int(deviceLife.Seconds()))
}

func (w *web) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(w.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// visitor returns who asks.
func (w *web) visitor(r *http.Request) visitor {
	return visitor{network: r.RemoteAddr, device: deviceOf(r.UserAgent()), cookie: w.cookie(r, sessionCookie), known: w.cookie(r, deviceCookie)}
}

// session returns who is signed in at the browser that asks.
func (w *web) session(r *http.Request) (session, bool, error) {
	return w.findSession(r.Context(), w.cookie(r, sessionCookie))
}

// formToken returns what a form of this browser has to say, so that no page elsewhere can post one, and sets the cookie that it is compared
// with. The edge refuses what comes from another origin as well; this holds for browsers that do not say where something comes from.
func (w *web) formToken(out http.ResponseWriter, r *http.Request) string {
	if token := w.cookie(r, formCookie); len(token) == 43 {
		return token
	}
	return w.newForm(out)
}

// newForm has the forms of this browser say something else from now on.
func (w *web) newForm(out http.ResponseWriter) string {
	token, _ := newSecret()
	w.setCookie(out, formCookie, token, 0)
	return token
}

// posted reads a form and reports whether it is one that this browser was shown.
func (w *web) posted(r *http.Request) bool {
	token := w.cookie(r, formCookie)
	return r.ParseForm() == nil && token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(r.PostForm.Get("form"))) == 1
}

// writeJSON answers with a document.
func writeJSON(out http.ResponseWriter, status int, document any) error {
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(status)
	_, err = out.Write(text)
	return err
}

// redirect leads somebody on by GET.
func redirect(out http.ResponseWriter, to string) error {
	out.Header().Set("Location", to)
	out.WriteHeader(http.StatusSeeOther)
	return nil
}
