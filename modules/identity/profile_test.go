package identity

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/platform/moduletest"
)

const newer = "another good password"

// change submits one of the forms of /account.
func (b *browser) change(t *testing.T, what string, typed url.Values) seen {
	t.Helper()
	typed.Set("change", what)
	return b.submit(t, b.get(t, accountPath), accountPath, typed)
}

// Who is signed in changes the password with the one before. Whoever else is signed in as her is so no more, and she is told.
func TestChangePassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	phone := b.browser(t)
	phone.signIn(t, email, password)
	p := b.party(t, "offline_access")
	apps := []*oauth2.Token{p.tokens(t, jane), p.tokens(t, phone)}
	thief := b.browser(t)
	at, err := url.Parse(issuer)
	must(t, err)
	thief.Jar.SetCookies(at, jane.Jar.Cookies(at))
	b.browser(t).ask(t, resetPath, email)
	reset := b.link(t)
	for _, c := range []struct {
		old, next string
		status    int
		says      string
	}{
		{"wrong password", newer, http.StatusForbidden, "wrong_password"},
		{"", newer, http.StatusForbidden, "wrong_password"},
		{password, "short", http.StatusBadRequest, "bad_password"},
		{password, email, http.StatusBadRequest, "bad_password"},
		{password, newer, http.StatusOK, "password_changed"},
	} {
		if got := jane.change(t, "password", url.Values{"password": {c.old}, "new": {c.next}}); got.status != c.status || !strings.Contains(got.body, texts["en"][c.says]) {
			t.Errorf("%q instead of %q: %d %s", c.next, c.old, got.status, got.body)
		}
	}
	if m := b.mail(t); m.GetSubject() != texts["en"]["mail password"] || m.GetAddress() != email || strings.Contains(m.GetText(), "token=") {
		t.Errorf("she is mailed %v", m)
	}
	if got := jane.get(t, devicesPath); strings.Count(got.body, `name="session"`) != 1 {
		t.Errorf("where she has changed it she sees %s", got.body)
	}
	if got := phone.get(t, devicesPath); strings.Contains(got.body, email) {
		t.Error("she is still signed in elsewhere")
	}
	if got := thief.get(t, devicesPath); strings.Contains(got.body, email) {
		t.Error("who has copied her cookies is still signed in")
	}
	if got := jane.change(t, "profile", url.Values{"name": {"Jane Doe"}}); got.status != http.StatusOK {
		t.Errorf("she goes on: %d %s", got.status, got.body)
	}
	for i, token := range apps {
		if _, err := p.config.TokenSource(p.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); !isWrong(err, "invalid_grant") {
			t.Errorf("app %d stays signed in: %v", i, err)
		}
	}
	if got := b.browser(t).get(t, reset); got.status != http.StatusBadRequest {
		t.Errorf("a link to choose a password is still good: %d", got.status)
	}
	if old, now := b.browser(t).signIn(t, email, password), b.browser(t).signIn(t, email, newer); old.status != http.StatusUnauthorized || now.status != http.StatusOK {
		t.Errorf("the old password: %d, the new one: %d", old.status, now.status)
	}
	for range accountAttempts + 1 {
		thief.signIn(t, email, "wrong password")
	}
	if got := thief.signIn(t, email, newer); got.status != http.StatusTooManyRequests {
		t.Errorf("who has copied her cookies, after ten wrong ones: %d", got.status)
	}
	if got := b.browser(t).signIn(t, email, newer); got.status != http.StatusTooManyRequests {
		t.Errorf("what he has tried is not counted with others': %d", got.status)
	}
	// Whoever finds her browser cannot try for ever.
	for range accountAttempts {
		jane.change(t, "password", url.Values{"password": {"wrong password"}, "new": {"a third good password"}})
	}
	if got := jane.change(t, "password", url.Values{"password": {newer}, "new": {"a third good password"}}); got.status != http.StatusTooManyRequests {
		t.Errorf("after ten wrong ones: %d", got.status)
	}
	if got := jane.post(t, accountPath, url.Values{"change": {"profile"}, "name": {"Eve"}}); got.status != http.StatusForbidden {
		t.Errorf("a page elsewhere posts the form: %d", got.status)
	}
}

// Somebody says how she is called and in which language she wants pages and mails.
func TestProfile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	jane := b.jane(t)
	if got := jane.change(t, "profile", url.Values{"name": {"Dr. Jane Doe"}, "language": {"de"}}); got.status != http.StatusOK || !strings.Contains(got.body, texts["de"]["saved"]) {
		t.Fatalf("she says so: %d %s", got.status, got.body)
	}
	if got := jane.get(t, devicesPath); got.header.Get("Content-Language") != "de" {
		t.Errorf("a page is in %s", got.header.Get("Content-Language"))
	}
	b.browser(t).ask(t, resetPath, email) // Her browser, or somebody else's, prefers nothing.
	if m := b.mail(t); m.GetSubject() != texts["de"]["mail reset"] {
		t.Errorf("she is mailed %q", m.GetSubject())
	}
	answer, err := b.client.GetAccount(moduletest.As(t, b.id(t)), &identityv1.GetAccountRequest{})
	must(t, err)
	if a := answer.GetAccount(); a.GetName() != "Dr. Jane Doe" || a.GetLanguage() != "de" {
		t.Errorf("the account is %v", a)
	}
	for name, typed := range map[string]url.Values{
		"a long name": {"name": {strings.Repeat("x", 101)}}, "no name": {"name": {"Jane\r\nBcc: all"}}, "no language": {"language": {"tlh"}},
	} {
		if got := jane.change(t, "profile", typed); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := b.browser(t).get(t, accountPath); !strings.Contains(got.body, `action="/signin"`) || !strings.Contains(got.body, `value="/account"`) {
		t.Errorf("nobody who is signed in sees %s", got.body)
	}
}

// An address becomes an account's when its owner has asked with his password and follows the link that went there, and the one before is told.
func TestChangeEmail(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const next = "jane.doe@example.org"
	jane := b.jane(t)
	b.orders.claimed(t)
	ask := func(address, secret string) seen {
		return jane.change(t, "email", url.Values{"email": {address}, "password": {secret}})
	}
	if got := ask(next, "wrong password"); got.status != http.StatusForbidden {
		t.Errorf("with a wrong password: %d", got.status)
	}
	if got := ask("nothing", password); got.status != http.StatusBadRequest {
		t.Errorf("what is no address: %d", got.status)
	}
	network := func() int64 { return moduletest.Value[int64](t, b.House, "SELECT max(count) FROM identity.attempt") }
	vain := network()
	ask("j.doe@example.org", password)
	if network() != vain {
		t.Errorf("%d attempts of her network are counted, and %d before she asked with the right password", network(), vain)
	}
	b.browser(t).ask(t, resetPath, email)
	reset := b.link(t)
	b.browser(t).ask(t, registrationPath, next) // Anybody can ask for an account with it.
	stranger := b.link(t)
	free := ask("Jane.Doe@Example.org", password)
	m := b.mail(t)
	link := inMail.FindString(m.GetText())
	if free.status != http.StatusOK || m.GetAddress() != next || m.GetSubject() != texts["en"]["mail change"] {
		t.Fatalf("she asks: %d, and %v is mailed", free.status, m)
	}
	// The link is none to choose a password with, and for nobody else.
	if got := b.browser(t).get(t, strings.Replace(link, emailPath, passwordPath, 1)); got.status != http.StatusBadRequest {
		t.Errorf("it leads whoever has it to a password: %d", got.status)
	}
	john := b.browser(t)
	b.register(t, john, "john@example.com")
	b.orders.claimed(t)
	john.signIn(t, "john@example.com", password)
	if got := john.get(t, link); got.status != http.StatusBadRequest || strings.Contains(got.body, next) {
		t.Errorf("John follows it: %d %s", got.status, got.body)
	}
	if got := b.browser(t).get(t, link); !strings.Contains(got.body, `action="/signin"`) {
		t.Errorf("nobody follows it: %d %s", got.status, got.body)
	}
	for _, path := range []string{registrationPath, resetPath} { // Nor is it kept for later.
		away := b.browser(t)
		away.submit(t, away.get(t, withContinue(path, strings.TrimPrefix(link, issuer))), path, url.Values{"email": {"john@example.com"}})
		if next := moduletest.Value[string](t, b.House, "SELECT next FROM identity.mail ORDER BY id DESC LIMIT 1"); next != "" {
			t.Errorf("%s keeps %s", path, next)
		}
	}
	for range 2 { // To look spends it not.
		if got := jane.get(t, link); !strings.Contains(got.body, next) {
			t.Fatalf("she follows it: %d %s", got.status, got.body)
		}
	}
	page := jane.get(t, link)
	if got := jane.submit(t, page, emailPath, url.Values{}); got.status != http.StatusOK || !strings.Contains(got.body, texts["en"]["email_changed"]) {
		t.Fatalf("she confirms it: %d %s", got.status, got.body)
	}
	if got := jane.submit(t, page, emailPath, url.Values{}); got.status != http.StatusBadRequest {
		t.Errorf("she confirms it again: %d", got.status)
	}
	if m := b.mail(t); m.GetAddress() != email || m.GetSubject() != texts["en"]["mail changed"] {
		t.Errorf("the address before is told %v", m)
	}
	if r := b.orders.claimed(t); r.GetEmail() != next {
		t.Errorf("what was ordered with %s is claimed", r.GetEmail())
	}
	for name, link := range map[string]string{"to the address before": reset, "for an account with this one": stranger} {
		if got := b.browser(t).get(t, link); got.status != http.StatusBadRequest {
			t.Errorf("a link %s is still good: %d", name, got.status)
		}
	}
	if old, now := b.browser(t).signIn(t, email, password), b.browser(t).signIn(t, next, password); old.status != http.StatusUnauthorized || now.status != http.StatusOK {
		t.Errorf("with the old address: %d, with the new one: %d", old.status, now.status)
	}
	// She learns nothing of John.
	taken := ask("john@example.com", password)
	if taken.status != free.status || hidden.ReplaceAllString(taken.body, "") != hidden.ReplaceAllString(free.body, "") {
		t.Errorf("an address that is free is answered with\n%s\nand another's with\n%s", free.body, taken.body)
	}
	if m := b.mail(t); m.GetSubject() != texts["en"]["mail exists"] || m.GetAddress() != "john@example.com" || strings.Contains(m.GetText(), "token=") {
		t.Errorf("John is mailed %v", m)
	}
	// Who registers with it before she confirms it keeps it.
	const third = "third@example.org"
	ask(third, password)
	link = b.link(t)
	b.register(t, b.browser(t), third)
	if got := jane.submit(t, jane.get(t, link), emailPath, url.Values{}); got.status != http.StatusBadRequest {
		t.Errorf("an address that is another's by now: %d", got.status)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.cleave_event WHERE encode(data, 'escape') ILIKE '%jane%' OR encode(data, 'escape') ILIKE '%example.%'"); n != 0 {
		t.Error("an event tells of the person")
	}
}

// What the database cannot do is no wrong password.
func TestFailureIsNoWrongPassword(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jane(t)
	s := &service{store: storeOf(b), hasher: newHasher()}
	who := session{id: moduletest.Value[string](t, b.House, "SELECT id FROM identity.session"), account: account{id: b.id(t), email: email}}
	for table, typed := range map[string]string{"session": password, "audit": "wrong password"} {
		b.Exec(t, "ALTER TABLE identity."+table+" RENAME TO away")
		for name, err := range map[string]error{
			"password": func() error {
				_, _, err := s.changePassword(t.Context(), who, visitor{}, typed, newer, "en")
				return err
			}(),
			"address": s.askEmail(t.Context(), who, visitor{}, typed, "jane.doe@example.org", "en"),
		} {
			if err == nil || errors.Is(err, errRefused) {
				t.Errorf("without the table %s another %s: %v", table, name, err)
			}
		}
		b.Exec(t, "ALTER TABLE identity.away RENAME TO "+table)
	}
}
