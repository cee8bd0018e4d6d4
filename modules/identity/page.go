package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cleave-go/cleave/platform/mailaddr"
)

//go:embed pages/page.html
var pageText string

//go:embed pages/page.css
var style string

var (
	pageTemplate = template.Must(template.New("page").Parse(pageText))
	// styleSource is the only style that a browser takes, by its hash. There is no script.
	styleSource = func() string {
		sum := sha256.Sum256([]byte(style))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}()
)

// page is what somebody sees. It works without a script, and says nothing of who has an account.
type page struct {
	Name            string // Which page, and its title.
	Status          int
	Problem, Notice string // Texts.
	Language, Form  string
	Continue        string // Where it goes on after a sign-in.
	Email, Person   string
	Client, Request string
	Scopes          []string
	LeadsTo         string // The client's URI that a form leads to in the end.
	Devices         []device
	Preferred       string // The language that somebody who has signed in wants, if he has said so.
	Token           string // What a link has brought.
}

// device is where somebody is signed in.
type device struct {
	ID, Name, Since string
	Here            bool
}

// T returns a text in the language of the page.
func (p page) T(key string) string { return texts[p.Language][key] }

// Scope returns what a scope allows, in words if there are some.
func (p page) Scope(scope string) string {
	if text := texts[p.Language]["scope "+scope]; text != "" {
		return text
	}
	return scope
}

// Style returns the style sheet.
func (page) Style() template.CSS { return template.CSS(style) } //nolint:gosec // It is ours.

func (p page) RegisterLink() string { return withContinue(registrationPath, p.Continue) }
func (p page) SignInLink() string   { return withContinue(signInPath, p.Continue) }
func (p page) ResetLink() string    { return withContinue(resetPath, p.Continue) }

func withContinue(path, next string) string {
	if next == "" {
		return path
	}
	return path + "?" + url.Values{"continue": {next}}.Encode()
}

// show answers with a page.
func (w *web) show(out http.ResponseWriter, r *http.Request, p page) error {
	if p.Language = p.Preferred; p.Language == "" {
		p.Language = languageFor(r, p.Continue+p.Request) // There is one of them at the most.
	}
	if p.Form == "" {
		p.Form = w.formToken(out, r)
	}
	var text bytes.Buffer
	if err := pageTemplate.Execute(&text, p); err != nil {
		return err
	}
	header := out.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Language", p.Language)
	// Browsers hold form-action also against where the answer to a form leads.
	header.Set("Content-Security-Policy", "default-src 'none'; style-src "+styleSource+"; form-action 'self'"+source(p.LeadsTo)+"; frame-ancestors 'none'; base-uri 'none'")
	header.Set("Referrer-Policy", "same-origin") // So that a form says which origin it comes from.
	if p.Status == 0 {
		p.Status = http.StatusOK
	}
	out.WriteHeader(p.Status)
	_, err := out.Write(text.Bytes())
	return err
}

// source returns a source of a Content-Security-Policy that a URI is of, after a space; "" for none. It is the whole scheme: where a client leads
// on to from there, to another origin of its own perhaps, counts as well, and is the client's affair.
func source(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" {
		return ""
	}
	return " " + u.Scheme + ":"
}

// next returns where somebody goes on after a sign-in: to something of this host, the shop's own pages for instance, and nowhere else.
func next(asked string) string {
	u, err := url.Parse(asked)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(asked, "/") || strings.HasPrefix(asked, "//") || strings.Contains(asked, `\`) || len(asked) > maxNext {
		return ""
	}
	return asked
}

// languageFor returns the language of a page on the way to an authorization: the one that the client names (ui_locales), or that the
// browser prefers.
func languageFor(r *http.Request, request string) string {
	_, query, found := strings.Cut(request, "?")
	if !found {
		query = request
	}
	values, _ := url.ParseQuery(query) // What cannot be read names none.
	if asked := strings.Join(strings.Fields(values.Get("ui_locales")), ","); asked != "" && len(asked) <= maxLocales {
		if language, known := languageIn(asked); known {
			return language
		}
	}
	language, _ := languageIn(r.Header.Get("Accept-Language"))
	return language
}

// maxNext is how long that can be, in bytes: it is in URLs and mails.
const maxNext = 8 << 10

// leadsTo returns the URI of the client for whose sake somebody signs in, if it is the client's.
func (w *web) leadsTo(r *http.Request, next string) (string, error) {
	query, found := strings.CutPrefix(next, authorizePath+"?")
	if !found {
		return "", nil
	}
	a, err := w.parseAuthorization(r.Context(), query)
	var wrong *wrongRequest
	switch {
	case errors.Is(err, errNoClient):
		return "", nil
	case err != nil && !errors.As(err, &wrong):
		return "", err
	}
	return a.redirectURI, nil
}

// showForm shows a page that goes on somewhere.
func (w *web) showForm(out http.ResponseWriter, r *http.Request, p page) error {
	var err error
	if p.LeadsTo, err = w.leadsTo(r, p.Continue); err != nil {
		return err
	}
	return w.show(out, r, p)
}

func (w *web) oldForm(out http.ResponseWriter, r *http.Request) error {
	return w.show(out, r, page{Name: "wrong", Status: http.StatusForbidden, Problem: "form"})
}

func (w *web) showSignIn(out http.ResponseWriter, r *http.Request) error {
	return w.showForm(out, r, page{Name: "sign_in", Continue: next(r.URL.Query().Get("continue"))})
}

func (w *web) postSignIn(out http.ResponseWriter, r *http.Request) error {
	if !w.posted(r) {
		return w.oldForm(out, r)
	}
	p := page{Name: "sign_in", Continue: next(r.PostForm.Get("continue")), Email: r.PostForm.Get("email")}
	email, err := mailaddr.Normal(p.Email)
	if err != nil {
		p.Status, p.Problem = http.StatusBadRequest, "bad_email"
		return w.showForm(out, r, p)
	}
	cookie, known, err := w.signIn(r.Context(), w.visitor(r), email, r.PostForm.Get("password"))
	switch {
	case errors.Is(err, errRefused):
		p.Status, p.Problem = http.StatusUnauthorized, "refused"
		return w.showForm(out, r, p)
	case errors.Is(err, errTooMany):
		out.Header().Set("Retry-After", "900")
		p.Status, p.Problem = http.StatusTooManyRequests, "too_many"
		return w.showForm(out, r, p)
	case err != nil:
		return err
	}
	w.keep(out, cookie, known)
	w.newForm(out) // Whoever knew it before has no part in what follows.
	if p.Continue == "" {
		p.Continue = devicesPath
	}
	return redirect(out, p.Continue)
}

func (w *web) showRegistration(out http.ResponseWriter, r *http.Request) error {
	return w.showForm(out, r, page{Name: "register", Continue: next(r.URL.Query().Get("continue"))})
}

func (w *web) postRegistration(out http.ResponseWriter, r *http.Request) error {
	return w.postAsk(out, r, "register", confirmMail)
}

func (w *web) showReset(out http.ResponseWriter, r *http.Request) error {
	return w.showForm(out, r, page{Name: "reset", Continue: next(r.URL.Query().Get("continue"))})
}

func (w *web) postReset(out http.ResponseWriter, r *http.Request) error {
	return w.postAsk(out, r, "reset", resetMail)
}

// postAsk has a mail sent to whoever has an address, if he is owed one.
func (w *web) postAsk(out http.ResponseWriter, r *http.Request, name string, kind mailKind) error {
	if !w.posted(r) {
		return w.oldForm(out, r)
	}
	p := page{Name: name, Continue: next(r.PostForm.Get("continue")), Email: r.PostForm.Get("email")}
	email, err := mailaddr.Normal(p.Email)
	if err != nil {
		p.Status, p.Problem = http.StatusBadRequest, "bad_email"
		return w.showForm(out, r, p)
	}
	if path, _, _ := strings.Cut(p.Continue, "?"); path == emailPath { // A link is kept by its hash alone. This one is good no more once the mail is used.
		p.Continue = ""
	}
	_, may, err := w.attempt(r.Context(), r.RemoteAddr, "mail "+email, "")
	if err != nil {
		return err
	}
	if !may {
		out.Header().Set("Retry-After", "900")
		p.Status, p.Problem = http.StatusTooManyRequests, "too_many"
		return w.showForm(out, r, p)
	}
	if err := w.owe(r.Context(), ask{kind: kind, email: email, language: languageFor(r, p.Continue), next: p.Continue}); err != nil {
		return err
	}
	return w.show(out, r, page{Name: "mailed", Notice: "mailed_text", Continue: p.Continue})
}

func (w *web) showPassword(out http.ResponseWriter, r *http.Request) error {
	return w.passwordForm(out, r, page{Name: "choose_password", Token: r.URL.Query().Get("token")})
}

// passwordForm shows where somebody chooses a password, or that the link is old. To look at the page spends no link: programs that check mails do
// that, too.
func (w *web) passwordForm(out http.ResponseWriter, r *http.Request, p page) error {
	email, continued, ok, err := w.followed(r.Context(), p.Token)
	if err != nil {
		return err
	}
	if !ok {
		return w.show(out, r, page{Name: "wrong", Status: http.StatusBadRequest, Problem: "old_link"})
	}
	p.Email, p.Continue = email, next(continued)
	return w.show(out, r, p)
}

func (w *web) postPassword(out http.ResponseWriter, r *http.Request) error {
	if !w.posted(r) {
		return w.oldForm(out, r)
	}
	p := page{Name: "choose_password", Status: http.StatusBadRequest, Token: r.PostForm.Get("token"), Person: strings.TrimSpace(r.PostForm.Get("name"))}
	email, _, ok, err := w.followed(r.Context(), p.Token) // Without a link nothing is hashed.
	if err != nil {
		return err
	}
	switch password := r.PostForm.Get("password"); {
	case !ok:
		return w.passwordForm(out, r, p)
	case checkName(p.Person) != nil:
		p.Problem = "bad_name"
	case checkPassword(password, email) != nil:
		p.Problem = "bad_password"
	}
	if p.Problem != "" {
		return w.passwordForm(out, r, p)
	}
	email, continued, ok, err := w.choosePassword(r.Context(), p.Token, r.PostForm.Get("password"), p.Person)
	if err != nil {
		return err
	}
	if !ok {
		return w.passwordForm(out, r, p)
	}
	return w.showForm(out, r, page{Name: "sign_in", Notice: "now_sign_in", Continue: next(continued), Email: email})
}

func (w *web) showDevices(out http.ResponseWriter, r *http.Request) error {
	who, signedIn, err := w.session(r)
	if err != nil {
		return err
	}
	if !signedIn {
		return redirect(out, signInPath)
	}
	all, err := w.listSessions(r.Context(), who.account.id)
	if err != nil {
		return err
	}
	p := page{Name: "devices", Person: who.account.email, Preferred: who.account.language}
	for _, s := range all {
		p.Devices = append(p.Devices, device{ID: s.id, Name: s.device, Since: s.began.UTC().Format(time.DateOnly), Here: s.id == who.id})
	}
	return w.show(out, r, p)
}

func (w *web) postDevices(out http.ResponseWriter, r *http.Request) error {
	if !w.posted(r) {
		return w.oldForm(out, r)
	}
	who, signedIn, err := w.session(r)
	if err != nil {
		return err
	}
	if signedIn {
		if err := w.end(r.Context(), who, r.PostForm.Get("session")); err != nil {
			return err
		}
	}
	return redirect(out, devicesPath)
}

// end signs somebody out of one of his browsers.
func (w *web) end(ctx context.Context, who session, sessionID string) error {
	return w.store.Tx(ctx, func(ctx context.Context, tx tx) error {
		_, err := endSession(ctx, tx, who.account.id, sessionID)
		return err
	})
}

func (w *web) showSignOut(out http.ResponseWriter, r *http.Request) error {
	return w.show(out, r, page{Name: "sign_out"})
}

func (w *web) postSignOut(out http.ResponseWriter, r *http.Request) error {
	if !w.posted(r) {
		return w.oldForm(out, r)
	}
	who, signedIn, err := w.session(r)
	if err != nil {
		return err
	}
	if signedIn {
		if err := w.end(r.Context(), who, who.id); err != nil {
			return err
		}
	}
	w.setCookie(out, sessionCookie, "", 0)
	return w.show(out, r, page{Name: "signed_out"})
}
