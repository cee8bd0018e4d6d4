package identity

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/cleave-go/cleave/platform/mailaddr"
)

// accountPage returns the page on which somebody changes his account.
func accountPage(who session) page {
	return page{Name: "account", Email: who.account.email, Person: who.account.name, Preferred: who.account.language}
}

func (w *web) showAccount(out http.ResponseWriter, r *http.Request) error {
	who, signedIn, err := w.session(r)
	if err != nil {
		return err
	}
	if !signedIn {
		return redirect(out, withContinue(signInPath, accountPath))
	}
	return w.show(out, r, accountPage(who))
}

func (w *web) postAccount(out http.ResponseWriter, r *http.Request) error {
	if !w.posted(r) {
		return w.oldForm(out, r)
	}
	who, signedIn, err := w.session(r)
	if err != nil {
		return err
	}
	if !signedIn {
		return redirect(out, withContinue(signInPath, accountPath))
	}
	p := accountPage(who)
	switch r.PostForm.Get("change") {
	case "profile":
		err = w.postProfile(r.Context(), who, r.PostForm, &p)
	case "password":
		err = w.postNewPassword(out, r, who, &p)
	case "email":
		err = w.postNewEmail(r, who, &p)
	}
	switch {
	case errors.Is(err, errRefused):
		p.Status, p.Problem = http.StatusForbidden, "wrong_password"
	case errors.Is(err, errTooMany):
		out.Header().Set("Retry-After", "900")
		p.Status, p.Problem = http.StatusTooManyRequests, "too_many"
	case err != nil:
		return err
	case p.Problem != "":
		p.Status = http.StatusBadRequest
	}
	if p.Problem != "" {
		p.Notice = ""
	}
	return w.show(out, r, p)
}

func (w *web) postProfile(ctx context.Context, who session, form url.Values, p *page) error {
	name, language := strings.TrimSpace(form.Get("name")), form.Get("language")
	if checkName(name) != nil {
		p.Problem = "bad_name"
		return nil
	}
	if _, known := texts[language]; !known && language != "" {
		p.Problem = "bad_language"
		return nil
	}
	p.Person, p.Preferred, p.Notice = name, language, "saved"
	return w.setProfile(ctx, who.account.id, name, language)
}

func (w *web) postNewPassword(out http.ResponseWriter, r *http.Request, who session, p *page) error {
	password := r.PostForm.Get("new")
	if checkPassword(password, who.account.email) != nil {
		p.Problem = "bad_password"
		return nil
	}
	cookie, known, err := w.changePassword(r.Context(), who, w.visitor(r), r.PostForm.Get("password"), password, languageFor(r, ""))
	if err != nil {
		return err
	}
	w.keep(out, cookie, known)
	p.Notice, p.Form = "password_changed", w.newForm(out)
	return nil
}

func (w *web) postNewEmail(r *http.Request, who session, p *page) error {
	email, err := mailaddr.Normal(r.PostForm.Get("email"))
	if err != nil {
		p.Problem = "bad_email"
		return nil
	}
	if err := w.askEmail(r.Context(), who, w.visitor(r), r.PostForm.Get("password"), email, languageFor(r, "")); err != nil {
		return err
	}
	*p = page{Name: "mailed", Notice: "mailed_text", Preferred: who.account.language}
	return nil
}

// showEmail shows what a link to a new address is for. To look at the page spends no link.
func (w *web) showEmail(out http.ResponseWriter, r *http.Request) error {
	who, signedIn, err := w.session(r)
	if err != nil {
		return err
	}
	token := r.URL.Query().Get("token")
	if !signedIn {
		return redirect(out, withContinue(signInPath, emailPath+"?"+url.Values{"token": {token}}.Encode()))
	}
	email, ok, err := w.askedEmail(r.Context(), who, token)
	if err != nil {
		return err
	}
	if !ok {
		return w.oldLink(out, r, who)
	}
	return w.show(out, r, page{Name: "confirm_email", Email: email, Token: token, Preferred: who.account.language})
}

func (w *web) postEmail(out http.ResponseWriter, r *http.Request) error {
	if !w.posted(r) {
		return w.oldForm(out, r)
	}
	who, signedIn, err := w.session(r)
	if err != nil {
		return err
	}
	if !signedIn {
		return w.oldForm(out, r)
	}
	ok, err := w.changeEmail(r.Context(), who, r.PostForm.Get("token"), languageFor(r, ""))
	if err != nil {
		return err
	}
	if !ok {
		return w.oldLink(out, r, who)
	}
	who, _, err = w.session(r)
	if err != nil {
		return err
	}
	p := accountPage(who)
	p.Notice = "email_changed"
	return w.show(out, r, p)
}

func (w *web) oldLink(out http.ResponseWriter, r *http.Request, who session) error {
	return w.show(out, r, page{Name: "wrong", Status: http.StatusBadRequest, Problem: "old_link", Preferred: who.account.language})
}
