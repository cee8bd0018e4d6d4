package identity

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/crypto/argon2"
	"golang.org/x/oauth2"

	identityv1 "github.com/cleave-go/cleave/gen/cleave/identity/v1"
	"github.com/cleave-go/cleave/modules/identity/internal/ent"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/moduletest"
)

func storeOf(b *bundle) *db.Store[*ent.Client] {
	return db.NewStore(b.Hosts["identity"].DB, func(d dialect.Driver) *ent.Client { return ent.NewClient(ent.Driver(d)) })
}

// keyOf returns the id of the key that has signed a token.
func keyOf(t *testing.T, token string) string {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	must(t, err)
	return signed.Signatures[0].Protected.KeyID
}

// Nobody learns from an answer whether there is an account; who has the address learns it from the mail.
func TestNobodyLearnsWhoHasAnAccount(t *testing.T) {
	t.Parallel()
	b := setup(t)
	plain := func(s seen) string {
		return fmt.Sprint(s.status, strings.NewReplacer(email, "", "nobody@example.com", "").Replace(hidden.ReplaceAllString(s.body, "")))
	}
	first := b.browser(t).ask(t, registrationPath, email)
	b.register(t, b.browser(t), email) // She has asked twice.
	again := b.browser(t).ask(t, registrationPath, email)
	if m := b.mail(t); m.GetSubject() != texts["en"]["mail exists"] || strings.Contains(m.GetText(), "token=") {
		t.Errorf("who has an account is mailed %v", m)
	}
	if plain(first) != plain(again) {
		t.Errorf("a new account is answered with\n%s\nand one that is there with\n%s", plain(first), plain(again))
	}
	reset := b.browser(t).ask(t, resetPath, email)
	if m := b.mail(t); m.GetSubject() != texts["en"]["mail reset"] {
		t.Errorf("who has forgotten the password is mailed %v", m)
	}
	nobody := b.browser(t).ask(t, resetPath, "nobody@example.com")
	if m := b.mail(t); m != nil {
		t.Errorf("nobody is mailed %v", m)
	}
	if plain(reset) != plain(nobody) {
		t.Errorf("a reset is answered with\n%s\nand that of nobody with\n%s", plain(reset), plain(nobody))
	}
	wrong := b.browser(t).signIn(t, email, "another password of somebody else")
	none := b.browser(t).signIn(t, "nobody@example.com", password)
	if wrong.status != http.StatusUnauthorized || plain(none) != plain(wrong) {
		t.Errorf("a wrong password is answered with\n%s\nand no account with\n%s", plain(wrong), plain(none))
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.cleave_event WHERE encode(data, 'escape') ILIKE '%jane%' OR encode(data, 'escape') ILIKE '%example.com%'"); n != 0 {
		t.Error("an event tells of the person")
	}
}

// A link is good once and for an hour, for who has the mail; what was there before – sessions, other links, the old password – is over then.
func TestLinks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if got := b.browser(t).signIn(t, email, ""); got.status != http.StatusUnauthorized {
		t.Fatalf("an account that nobody has confirmed: %d", got.status)
	}
	jane := b.jane(t)
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.cleave_event WHERE type = 'identity.v1.UserRegistered'"); n != 1 {
		t.Errorf("it was published %d times that she has registered", n)
	}
	b.browser(t).ask(t, resetPath, email)
	first, second := b.link(t), b.link(t) // The mail was sent twice.
	b.browser(t).ask(t, resetPath, email)
	owed := moduletest.Value[string](t, b.House, "SELECT max(id) FROM identity.mail")
	for range 2 {
		if got := b.browser(t).get(t, first); !strings.Contains(got.body, email) { // Programs that check mails look, too.
			t.Fatalf("the link leads to %d %s", got.status, got.body)
		}
	}
	if got := b.browser(t).choose(t, first, "short"); got.status != http.StatusBadRequest || !strings.Contains(got.body, texts["en"]["bad_password"]) {
		t.Errorf("a short password: %d %s", got.status, got.body)
	}
	const newer = "another good password"
	if got := b.browser(t).choose(t, first, newer); got.status != http.StatusOK {
		t.Fatalf("she chooses a new one: %d %s", got.status, got.body)
	}
	if answer, err := b.mails.WriteMails(moduletest.As(t, ""), &identityv1.WriteMailsRequest{MailIds: []string{owed}}); err != nil || len(answer.GetMails()) != 0 {
		t.Errorf("a mail that was owed before says %v, %v", answer, err)
	}
	for name, link := range map[string]string{"used": first, "of the same mail": second, "none": issuer + passwordPath, "made up": issuer + passwordPath + "?token=" + strings.Repeat("A", 43)} {
		if got := b.browser(t).get(t, link); got.status != http.StatusBadRequest || strings.Contains(got.body, email) {
			t.Errorf("a link that is %s leads to %d %s", name, got.status, got.body)
		}
	}
	if got := jane.get(t, devicesPath); strings.Contains(got.body, email) {
		t.Error("who was signed in with the old password still is")
	}
	if old, now := b.browser(t).signIn(t, email, password), b.browser(t).signIn(t, email, newer); old.status != http.StatusUnauthorized || now.status != http.StatusOK {
		t.Errorf("the old password: %d, the new one: %d", old.status, now.status)
	}
	b.browser(t).ask(t, resetPath, email)
	late := b.link(t)
	b.Exec(t, "UPDATE identity.link SET expire_time = now()")
	if got := b.browser(t).get(t, late); got.status != http.StatusBadRequest {
		t.Errorf("a link after an hour leads to %d", got.status)
	}
	if n := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.audit WHERE event = 'password_chosen'"); n != 2 {
		t.Errorf("it is written down %d times that a password was chosen, want 2", n)
	}
}

// Who tries too often waits, with an account or without; the right password does not help then.
func TestTenWrongPasswords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jane(t)
	for _, address := range []string{email, "nobody@example.com"} {
		for i := range accountAttempts {
			if got := b.browser(t).signIn(t, address, "wrong password"); got.status != http.StatusUnauthorized {
				t.Fatalf("attempt %d of %s: %d", i, address, got.status)
			}
		}
		if got := b.browser(t).signIn(t, address, password); got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
			t.Errorf("after ten of %s: %d %s", address, got.status, got.body)
		}
	}
	b.Exec(t, "UPDATE identity.attempt SET since = since - interval '16 minutes'")
	if got := b.browser(t).signIn(t, email, password); got.status != http.StatusOK {
		t.Errorf("after a while: %d", got.status)
	}
}

// Others who try in vain do not shut somebody out of the browser in which she has signed in before. There she has ten of her own.
func TestOthersDoNotShutHerOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	jane := b.jane(t)
	john := b.browser(t)
	b.register(t, john, "john@example.com")
	john.signIn(t, "john@example.com", password)
	for range accountAttempts + 1 {
		b.browser(t).signIn(t, email, "wrong password")
	}
	if got := b.browser(t).signIn(t, email, password); got.status != http.StatusTooManyRequests {
		t.Fatalf("in a browser that nobody knows: %d", got.status)
	}
	if got := john.signIn(t, email, password); got.status != http.StatusTooManyRequests {
		t.Errorf("in a browser that is known for another account: %d", got.status)
	}
	jane.submit(t, jane.get(t, signOutPath), signOutPath, url.Values{})
	// Somebody else can have the same browser. He has no more attempts for that.
	jane.signIn(t, email, "wrong password")
	known := moduletest.Value[int64](t, b.House, "SELECT id FROM identity.device WHERE account_id = $1", b.id(t))
	count := func() int64 {
		return moduletest.Value[int64](t, b.House, "SELECT coalesce(sum(count), 0)::bigint FROM identity.attempt WHERE key = $1", hashSecret(fmt.Sprintf("device %d", known)))
	}
	if count() != 1 {
		t.Fatalf("%d attempts are counted in her browser, want 1", count())
	}
	if got := jane.signIn(t, "john@example.com", password); got.status != http.StatusOK {
		t.Fatalf("John in her browser: %d", got.status)
	}
	jane.signIn(t, email, "wrong password")
	if count() != 2 {
		t.Errorf("%d attempts are counted in her browser, want 2", count())
	}
	for range 2 {
		if got := jane.signIn(t, email, password); got.status != http.StatusOK {
			t.Fatalf("in her browser: %d", got.status)
		}
	}
	for range accountAttempts {
		jane.signIn(t, email, "wrong password")
	}
	if got := jane.signIn(t, email, password); got.status != http.StatusTooManyRequests {
		t.Errorf("in her browser after ten wrong ones: %d", got.status)
	}
	b.Exec(t, "DELETE FROM identity.attempt")
	b.Exec(t, "UPDATE identity.device SET expire_time = now()")
	for range accountAttempts + 1 {
		b.browser(t).signIn(t, email, "wrong password")
	}
	if got := jane.signIn(t, email, password); got.status != http.StatusTooManyRequests {
		t.Errorf("in a browser that was hers long ago: %d", got.status)
	}
}

// Many people sign in from one network, and those who do have not tried in vain.
func TestSuccessesAreNotCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jane(t)
	s := &service{store: storeOf(b), hasher: newHasher()}
	at := visitor{network: "10.0.0.1/32"}
	count := func() int64 {
		return moduletest.Value[int64](t, b.House, "SELECT coalesce(sum(count), 0)::bigint FROM identity.attempt WHERE key = $1", hashSecret("network "+at.network))
	}
	for i := range 3 {
		if _, _, err := s.signIn(t.Context(), at, email, password); err != nil || count() != 0 {
			t.Fatalf("sign-in %d: %v, and %d attempts are counted", i, err, count())
		}
	}
	if _, _, err := s.signIn(t.Context(), at, email, "wrong password"); !errors.Is(err, errRefused) || count() != 1 {
		t.Errorf("a wrong password: %v, and %d attempts are counted", err, count())
	}
	if _, _, err := s.signIn(t.Context(), at, email, password); err != nil || count() != 1 {
		t.Errorf("somebody else's attempt is forgotten: %v, and %d are counted", err, count())
	}
}

// A password that was hashed at less cost than is usual now is hashed anew by whoever shows it.
func TestHashIsRenewed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jane(t)
	salt := random(saltLength)
	old := fmt.Sprintf("$argon2id$v=19$m=8,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt),
		base64.RawStdEncoding.EncodeToString(argon2.IDKey([]byte(password), salt, 1, 8, 1, hashLength)))
	b.Exec(t, "UPDATE identity.account SET password_hash = $1", old)
	hash := func() string {
		return moduletest.Value[string](t, b.House, "SELECT password_hash FROM identity.account")
	}
	if got := b.browser(t).signIn(t, email, "wrong password"); got.status != http.StatusUnauthorized || hash() != old {
		t.Errorf("a wrong password: %d, and the hash is %s", got.status, hash())
	}
	for range 2 {
		if got := b.browser(t).signIn(t, email, password); got.status != http.StatusOK || !strings.HasPrefix(hash(), "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("she signs in: %d, and the hash is %s", got.status, hash())
		}
	}
}

// A network that has tried too often shuts nobody out, and leaves no trace for each name that it tries.
func TestRefusedNetworkCountsForNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := &service{store: storeOf(b)}
	attempt := func(network, address string, want bool) {
		t.Helper()
		if _, may, err := s.attempt(t.Context(), network, address, ""); err != nil || may != want {
			t.Fatalf("%s from %s: %t, %v, want %t", address, network, may, err, want)
		}
	}
	for i := range networkAttempts {
		attempt("10.0.0.1/32", fmt.Sprintf("user%d@example.com", i), true)
	}
	for i := range accountAttempts + 1 {
		attempt("10.0.0.1/32", email, false)
		attempt("10.0.0.1/32", fmt.Sprintf("another%d@example.com", i), false)
	}
	if rows := moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.attempt"); rows != networkAttempts+1 {
		t.Errorf("there are %d rows, want one for each account and one for the network", rows)
	}
	attempt("10.0.0.2/32", email, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.signIn(ctx, visitor{}, email, password); err == nil || errors.Is(err, errTooMany) {
		t.Errorf("attempts that cannot be counted: %v", err)
	}
}

// Who is locked, or gets another password, while his password is being hashed can do nothing with it. It does not matter if only the hash is another.
func TestSignInLooksAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jane(t)
	accountID := b.id(t)
	kept := moduletest.Value[string](t, b.House, "SELECT password_hash FROM identity.account")
	right, err := newHasher().hash(t.Context(), password)
	must(t, err)
	wrong, err := newHasher().hash(t.Context(), "another password")
	must(t, err)
	for _, c := range []struct {
		name   string
		change func()
		want   error
	}{
		{"the same password", func() { b.Exec(t, "UPDATE identity.account SET password_hash = $1", right) }, nil},
		{"another password", func() { b.Exec(t, "UPDATE identity.account SET password_hash = $1", wrong) }, errRefused},
		{"locked", func() {
			_, err := b.desk.LockAccount(moduletest.As(t, ""), &identityv1.LockAccountRequest{Id: accountID})
			must(t, err)
		}, errRefused},
	} {
		s := &service{store: storeOf(b), hasher: newHasher(), events: b.Hosts["identity"].Events}
		who := session{id: moduletest.Value[string](t, b.House, "SELECT min(id) FROM identity.session"), account: account{id: accountID, email: email}}
		for what, try := range map[string]func() error{
			"sign in": func() error {
				_, _, err := s.signIn(t.Context(), visitor{}, email, password)
				return err
			},
			"ask for an address": func() error { return s.askEmail(t.Context(), who, visitor{}, password, "jane.doe@example.org", "en") },
		} {
			b.Exec(t, "UPDATE identity.account SET state = 'active', password_hash = $1", kept)
			for range cap(s.hasher.slots) {
				s.hasher.slots <- struct{}{}
			}
			tried := make(chan error, 1)
			go func() { tried <- try() }()
			for s.hasher.waiting.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			c.change()
			for range cap(s.hasher.slots) {
				<-s.hasher.slots
			}
			if err := <-tried; !errors.Is(err, c.want) {
				t.Errorf("%s: to %s: %v, want %v", c.name, what, err, c.want)
			}
		}
	}
}

// Who signs in where somebody is signed in takes that place: a session that is there stays of nobody. What apps have got goes along if it is the
// same person.
func TestSignInTakesThePlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	p := b.party(t, "offline_access")
	token := p.tokens(t, jane)
	sessions := func() int64 { return moduletest.Value[int64](t, b.House, "SELECT count(*) FROM identity.session") }
	jane.signIn(t, email, password)
	token, err := p.config.TokenSource(p.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil || sessions() != 1 {
		t.Fatalf("she signs in again: the app gets %v, and there are %d sessions", err, sessions())
	}
	b.register(t, b.browser(t), "john@example.com")
	jane.signIn(t, "john@example.com", password)
	if _, err := p.config.TokenSource(p.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); !isWrong(err, "invalid_grant") || sessions() != 1 {
		t.Errorf("John signs in at her browser: the app gets %v, and there are %d sessions", err, sessions())
	}
}

// Half the processors hash passwords at the most, and who would wait too long for one is told so. How a whole shop bears a flood is in test/flood_test.go.
func TestHasherIsBounded(t *testing.T) {
	t.Parallel()
	h := newHasher()
	if most := max(1, runtime.GOMAXPROCS(0)/2); cap(h.slots) > most {
		t.Errorf("%d hash at once, want %d at the most", cap(h.slots), most)
	}
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range maxWaiting {
		waiting.Go(func() {
			if _, err := h.hash(ctx, password); !errors.Is(err, context.Canceled) {
				t.Errorf("somebody waits: %v", err)
			}
		})
	}
	for h.waiting.Load() < maxWaiting {
		time.Sleep(time.Millisecond)
	}
	if _, err := h.hash(ctx, password); !errors.Is(err, errBusy) {
		t.Errorf("one more: %v, want %v", err, errBusy)
	}
	cancel()
	waiting.Wait()
}

// Somebody sees where she is signed in and ends it, and with it what apps have got there. Others' sessions are not hers.
func TestDevices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.app(t)
	jane := b.jane(t)
	p := b.party(t, "offline_access")
	token := p.tokens(t, jane)
	phone := b.browser(t)
	phone.signIn(t, email, password)
	john := b.browser(t)
	b.register(t, john, "john@example.com")
	if got := john.signIn(t, "john@example.com", password); strings.Count(got.body, `name="session"`) != 1 {
		t.Errorf("John sees %s", got.body)
	}
	page := phone.get(t, devicesPath)
	if strings.Count(page.body, `name="session"`) != 2 {
		t.Fatalf("she sees %s", page.body)
	}
	first := moduletest.Value[string](t, b.House, "SELECT min(id) FROM identity.session")
	john.submit(t, john.get(t, devicesPath), devicesPath, url.Values{"session": {first}})
	if got := jane.get(t, devicesPath); !strings.Contains(got.body, email) {
		t.Fatal("John has signed Jane out")
	}
	phone.submit(t, page, devicesPath, url.Values{"session": {first}})
	if got := jane.get(t, devicesPath); strings.Contains(got.body, email) {
		t.Error("she is still signed in where she has ended it")
	}
	if _, err := p.config.TokenSource(p.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); !isWrong(err, "invalid_grant") {
		t.Errorf("an app stays signed in: %v", err)
	}
	phone.submit(t, phone.get(t, signOutPath), signOutPath, url.Values{})
	if got := phone.get(t, devicesPath); strings.Contains(got.body, email) {
		t.Error("she is still signed in after she has signed out")
	}
}

// The pages are as browsers and people need them: in their language, without a script, and nobody elsewhere can use them.
func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for accepted, want := range map[string]string{"": "en", "de": "de", "de-AT,en;q=0.5": "de", "fr,de;q=0.5": "de", "fr": "en", "en-GB,de;q=0.9": "en", "*;q=nonsense": "en"} {
		r, err := http.NewRequest(http.MethodGet, issuer+signInPath, nil)
		must(t, err)
		r.Header.Set("Accept-Language", accepted)
		got := b.browser(t).look(t, r)
		if got.header.Get("Content-Language") != want || !strings.Contains(got.body, `<html lang="`+want+`">`) || !strings.Contains(got.body, texts[want]["sign_in"]) {
			t.Errorf("%q is answered in %s", accepted, got.header.Get("Content-Language"))
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("the policy is %s", policy)
		}
		if cookie := got.header.Get("Set-Cookie"); !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
			t.Errorf("the cookie is %s", cookie)
		}
	}
	for name := range texts["en"] {
		if texts["de"][name] == "" {
			t.Errorf("%q is not translated", name)
		}
	}
	jane := b.jane(t)
	page := jane.get(t, signInPath+"?continue="+url.QueryEscape("https://evil.example/"))
	if strings.Contains(page.body, "evil") {
		t.Error("a link leads somebody away after the sign-in")
	}
	for name, header := range map[string]http.Header{
		"another site":   {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
		"another origin": {"Origin": {"https://evil.example"}},
	} {
		r, err := http.NewRequest(http.MethodPost, issuer+signOutPath, strings.NewReader(""))
		must(t, err)
		r.Header = header
		if got := jane.look(t, r); got.status != http.StatusForbidden {
			t.Errorf("%s posts: %d", name, got.status)
		}
	}
	if got := jane.post(t, keysPath, url.Values{}); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET" {
		t.Errorf("keys are posted: %d", got.status)
	}
	if got := jane.post(t, signInPath, url.Values{"x": {strings.Repeat("x", 70<<10)}}); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("much is posted: %d", got.status)
	}
}

// What has happened is written down for good, with ids only.
func TestAuditIsForGood(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.jane(t)
	b.browser(t).signIn(t, email, "wrong password")
	events := moduletest.Query[string](t, b.House, "SELECT event FROM identity.audit WHERE account_id = $1 ORDER BY id", b.id(t))
	if got := strings.Join(events, " "); got != "registration_asked registered password_chosen signed_in sign_in_refused" {
		t.Errorf("there is %s", got)
	}
	for _, statement := range []string{"UPDATE audit SET event = 'x'", "DELETE FROM audit", "TRUNCATE audit"} {
		_, err := b.Hosts["identity"].DB.Pool().Exec(t.Context(), statement)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want insufficient privilege", statement, err)
		}
	}
}

func TestDeviceOf(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                       "Firefox, Linux",
		"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36": "Chrome, Android",
		"curl/8": "", "": "", "<script>Linux": "Linux",
	} {
		if got := deviceOf(agent); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
}
