package auth

import (
	"bytes"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/go-jose/go-jose/v4"

	"github.com/cleave-go/cleave/platform/auth/authtest"
	"github.com/cleave-go/cleave/platform/rpc"
)

// world is a verifier and its issuer in a bubble, where hours pass at once. Between them is no network.
type world struct {
	*testing.T
	issuer   *authtest.Issuer
	verifier *Verifier
	log      bytes.Buffer
	slow     atomic.Int64 // How long what the issuer has answered is on its way.
}

// inBubble runs a test in a bubble. The issuer is as prepare leaves it when the verifier starts.
func inBubble(t *testing.T, prepare func(*authtest.Issuer), test func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, issuer: authtest.New("https://issuer.test/")}
		if prepare != nil {
			prepare(w.issuer)
		}
		w.verifier = newVerifier(Config{Issuer: w.issuer.URL, Audience: authtest.Audience, RolesClaim: "roles", Log: slog.New(slog.NewTextHandler(&w.log, nil))}, w)
		synctest.Wait()
		test(w)
		w.verifier.Stop(t.Context())
	})
}

// RoundTrip leads to the issuer without a network.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	w.issuer.ServeHTTP(recorder, r)
	time.Sleep(time.Duration(w.slow.Load()))
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return recorder.Result(), nil
}

// call calls with a token and returns the code, or "ok".
func (w *world) call(token string) string {
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if _, err := w.verifier.Authenticate(r); err != nil {
		return connect.CodeOf(err).String()
	}
	return "ok"
}

// requires requires how a call with a token ends.
func (w *world) requires(when, token, want string) {
	w.Helper()
	if got := w.call(token); got != want {
		w.Errorf("%s: got %s, want %s", when, got, want)
	}
}

// forever returns a token that does not expire in a test.
func (w *world) forever() string {
	return w.issuer.Mint(w.issuer.Claims("usr_somebody").With(authtest.Claims{"exp": time.Now().Add(1000 * time.Hour).Unix()}))
}

// TestDownAtStart holds that an issuer that is down harms only calls with a token, and only until it is back.
func TestDownAtStart(t *testing.T) {
	inBubble(t, func(i *authtest.Issuer) { i.Down(true) }, func(w *world) {
		token := w.forever()
		w.requires("down", token, "unavailable")
		w.requires("down, and no token", "", "ok")
		time.Sleep(time.Hour)
		if fetched := w.issuer.Fetched(); fetched > 370 {
			w.Errorf("it was asked %d times in an hour", fetched)
		}
		w.issuer.Down(false)
		time.Sleep(maxRetry)
		w.requires("back", token, "ok")
		if said := w.log.String(); !strings.Contains(said, "level=WARN msg=\"the keys of the issuer of tokens cannot be fetched") || !strings.Contains(said, "answers 503") {
			w.Errorf("it said %s", said)
		}
	})
}

// TestAge holds how often the keys are fetched: as the issuer says, within bounds.
func TestAge(t *testing.T) {
	for cacheControl, want := range map[string]time.Duration{
		"": 10 * time.Minute, "public": 10 * time.Minute, "max-age=300": 5 * time.Minute, "public, Max-Age=120, must-revalidate": 2 * time.Minute,
		"max-age=0": time.Minute, "no-cache": time.Minute, "max-age=86400, no-store": time.Minute, "max-age=31536000": time.Hour, "max-age=never": 10 * time.Minute,
		"max-age=-5": 10 * time.Minute, "max-age=99999999999999999999": 10 * time.Minute,
	} {
		t.Run(cacheControl, func(t *testing.T) {
			inBubble(t, func(i *authtest.Issuer) { i.CacheControl(cacheControl) }, func(w *world) {
				time.Sleep(10*want + time.Second)
				synctest.Wait()
				if got := w.issuer.Fetched(); got != 11 {
					w.Errorf("they were fetched %d times in ten times %v, want 11", got, want)
				}
			})
		})
	}
}

// TestRotation holds that a new key is good at once, an old one for as long as it is published, and no longer than until it is noticed.
func TestRotation(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		old, oldToken := w.issuer.Signing(), w.forever()
		w.requires("the first key", oldToken, "ok")
		w.issuer.Sign(w.issuer.Publish(authtest.NewKey()))
		w.requires("a new key", w.forever(), "ok")
		w.requires("the old key", oldToken, "ok")
		w.issuer.Withdraw(old)
		time.Sleep(usualFresh)
		synctest.Wait()
		w.requires("a key that was withdrawn", oldToken, "unauthenticated")
		w.requires("the new key", w.forever(), "ok")
		// A key may come with the id of another one: what was verified with that is worth nothing.
		other := w.issuer.Signing()
		token := w.forever()
		w.requires("before it is replaced", token, "ok")
		w.issuer.Withdraw(other)
		replaced := authtest.NewKey()
		replaced.ID = other.ID
		w.issuer.Publish(replaced)
		time.Sleep(usualFresh)
		synctest.Wait()
		w.requires("after it was replaced", token, "unauthenticated")
	})
}

// TestRotationDuringFetch holds that a new key is good at once, also when the keys that are under way are those of before it.
func TestRotationDuringFetch(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.slow.Store(int64(time.Second))
		time.Sleep(usualFresh + 1500*time.Millisecond) // Both documents have left.
		fetched := w.issuer.Fetched()
		w.issuer.Sign(w.issuer.Publish(authtest.NewKey()))
		w.requires("a new key", w.forever(), "ok")
		if got := w.issuer.Fetched() - fetched; got != 1 {
			w.Errorf("it has asked %d times more, want once", got)
		}
	})
}

// TestUnknownKeys holds that nobody makes the verifier hammer the issuer, however many tokens with unknown keys come, and that such
// tokens are no burden for others: neither for who has a known key, nor for who has a new one.
func TestUnknownKeys(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		good, evil := w.forever(), authtest.NewKey()
		w.requires("good", good, "ok")
		before := w.issuer.Fetched()
		var calls sync.WaitGroup
		for second := range 60 {
			for n := range 20 {
				header := authtest.Header(evil)
				header["kid"] = fmt.Sprint(n)
				calls.Go(func() { w.requires("unknown", evil.Sign(header, "{}"), "unauthenticated") })
			}
			if second == 30 {
				w.issuer.Sign(w.issuer.Publish(authtest.NewKey()))
				w.requires("new among unknown", w.forever(), "ok")
			}
			began := time.Now()
			w.requires("good among unknown", w.forever(), "ok")
			if time.Since(began) > 0 {
				w.Errorf("a call with a known key has waited %v", time.Since(began))
			}
			time.Sleep(time.Second)
		}
		calls.Wait()
		if got := w.issuer.Fetched() - before; got < 15 || got > 25 {
			w.Errorf("1,200 tokens in a minute made it ask %d times, want about 20", got)
		}
	})
}

// TestHanging holds that an issuer that does not answer keeps only those waiting whose key is unknown, not for long, and not all of
// them.
func TestHanging(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.issuer.Answer(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		evil := authtest.NewKey()
		token := evil.Sign(authtest.Header(evil), "{}")
		began := time.Now()
		var calls sync.WaitGroup
		for range maxWaiting {
			calls.Go(func() { w.requires("unknown", token, "unavailable") })
		}
		synctest.Wait()
		w.requires("good while others wait", w.forever(), "ok")
		w.requires("one too many", token, "unavailable")
		if time.Since(began) > 0 {
			w.Errorf("a call that need not wait has waited %v", time.Since(began))
		}
		calls.Wait()
		if waited := time.Since(began); waited > fetchPause+fetchTimeout {
			w.Errorf("they have waited %v", waited)
		}
		w.requires("good when it has failed", w.forever(), "ok")
		w.requires("unknown when it has failed", token, "unavailable")
	})
}

// TestStale holds that keys stay good for a while when they cannot be fetched, and not forever.
func TestStale(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		token := w.forever()
		w.requires("up", token, "ok")
		w.issuer.Down(true)
		time.Sleep(keepStale - time.Minute)
		w.requires("down for long", token, "ok")
		w.requires("down for long, never seen", w.forever(), "ok")
		time.Sleep(2 * time.Minute)
		w.requires("down for too long", token, "unavailable")
		w.requires("down for too long, never seen", w.forever(), "unavailable")
		w.issuer.Down(false)
		time.Sleep(maxRetry)
		w.requires("up again", token, "ok")
	})
}

// TestRemembered holds that a token that was good is so for no longer than it says, and that the memory has an end.
func TestRemembered(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		token := w.issuer.Token("usr_somebody")
		w.requires("new", token, "ok")
		time.Sleep(10*time.Minute + 29*time.Second)
		w.requires("before it ends", token, "ok")
		time.Sleep(2 * time.Second)
		w.requires("after it has ended", token, "unauthenticated")

		memory := &cache{}
		first := [32]byte{1}
		for n := range 10 * maxVerified {
			memory.put([32]byte{byte(n), byte(n >> 8), byte(n >> 16), 1}, rpc.Principal{}, time.Now().Add(time.Hour))
			if n == 0 {
				memory.put(first, rpc.Principal{}, time.Now().Add(time.Hour))
			}
			if _, known := memory.get(first, time.Now()); !known {
				w.Fatal("a token that is used all the time was forgotten")
			}
		}
		if held := len(memory.young) + len(memory.older); held > 2*maxVerified {
			w.Errorf("it remembers %d tokens", held)
		}
	})
}

// TestLeeway holds by how much the clocks of issuer and shop may differ.
func TestLeeway(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		for _, c := range []struct {
			claim string
			after time.Duration
			want  string
		}{
			{"exp", -29 * time.Second, "ok"}, {"exp", -30 * time.Second, "unauthenticated"},
			{"nbf", 30 * time.Second, "ok"}, {"nbf", 31 * time.Second, "unauthenticated"},
			{"iat", 30 * time.Second, "ok"}, {"iat", 31 * time.Second, "unauthenticated"},
		} {
			claims := w.issuer.Claims("usr_somebody").With(authtest.Claims{c.claim: time.Now().Add(c.after).Unix()})
			w.requires(fmt.Sprintf("%s in %v", c.claim, c.after), w.issuer.Mint(claims), c.want)
		}
	})
}

// TestDocuments holds that what an issuer sends is believed only if it is what an issuer should send, and what else is in a key set.
func TestDocuments(t *testing.T) {
	t.Parallel()
	private := authtest.NewKey()
	keys := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
				fmt.Fprint(w, `{"issuer":"https://issuer.test/","jwks_uri":"https://issuer.test/keys"}`)
				return
			}
			fmt.Fprint(w, text)
		}
	}
	discovery := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	whole := jose.JSONWebKey{Key: private.Private, KeyID: private.ID}
	good, err := whole.Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"another issuer":   {discovery(`{"issuer":"https://issuer.test","jwks_uri":"https://issuer.test/keys"}`), `calls itself "https://issuer.test": set CLEAVE_OIDC_ISSUER to exactly that`},
		"no issuer":        {discovery(`{}`), `calls itself ""`},
		"keys without TLS": {discovery(`{"issuer":"https://issuer.test/","jwks_uri":"http://issuer.test/keys"}`), "the jwks_uri of the issuer https://issuer.test/ must begin with https://"},
		"keys from a file": {discovery(`{"issuer":"https://issuer.test/","jwks_uri":"file:///etc/passwd"}`), "is not a URL"},
		"no keys":          {discovery(`{"issuer":"https://issuer.test/"}`), "is not a URL"},
		"no JSON":          {discovery(`<html>`), "invalid character"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.example", http.StatusFound)
		}, "answers 302"},
		"a document of 1 MiB":   {discovery(strings.Repeat(" ", 1<<20)), "is longer than 262144 bytes"},
		"a set without keys":    {keys(`{}`), "has no key set"},
		"a set of many keys":    {keys(`{"keys":[` + strings.Repeat("{},", 100) + `{}]}`), "has 101 keys, more than 100"},
		"a set that is a list":  {keys(`[]`), "cannot unmarshal"},
		"among keys of no kind": {keys(`{"keys":[{"kty":"XYZ","kid":"` + private.ID + `"},{"kty":"oct","k":"c2VjcmV0","kid":"` + private.ID + `"},7,null,` + string(good) + `]}`), ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(i *authtest.Issuer) { i.Answer(c.answer) }, func(w *world) {
				w.issuer.Sign(private)
				want := "unavailable"
				if c.says == "" {
					want = "ok"
				}
				w.requires("a token", w.forever(), want)
				if !strings.Contains(strings.ReplaceAll(w.log.String(), `\"`, `"`), c.says) {
					w.Errorf("the log says %s, want %s", &w.log, c.says)
				}
			})
		})
	}
}

func TestUsable(t *testing.T) {
	t.Parallel()
	public := authtest.NewKey().Private
	for name, c := range map[string]struct {
		key  jose.JSONWebKey
		want bool
	}{
		"a key to sign with":               {jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}, KeyID: "k", Use: "sig"}, true},
		"a key that does not say for what": {jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}, KeyID: "k"}, true},
		"a key to encrypt with":            {jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}, KeyID: "k", Use: "enc"}, false},
		"a short key":                      {jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}, KeyID: "k"}, false},
		"a key without a name":             {jose.JSONWebKey{Key: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537}}, false},
		"a private key":                    {jose.JSONWebKey{Key: public, KeyID: "k"}, false},
		"a secret":                         {jose.JSONWebKey{Key: []byte("secret"), KeyID: "k"}, false},
	} {
		if got := usable(c.key); got != c.want {
			t.Errorf("%s: usable is %v", name, got)
		}
	}
}

func TestCheckIssuer(t *testing.T) {
	t.Parallel()
	for issuer, good := range map[string]bool{
		"https://login.example.com": true, "https://login.example.com/realms/shop": true, "https://tenant.eu.auth0.com/": true, "https://127.0.0.1:8443": true,
		"http://127.0.0.1:8081/realms/shop": true, "http://localhost:8081": true, "http://[::1]:8081": true,
		"http://login.example.com": false, "http://192.168.1.2": false, "http://localhost.example.com": false, "http://0.0.0.0": false, "login.example.com": false, "ftp://login.example.com": false,
		"https://user:hunter2@login.example.com": false, "https://login.example.com?x=1": false, "https://login.example.com#x": false, "https://": false, "https:///realms": false, "https:// x": false,
	} {
		if err := CheckIssuer(issuer); (err == nil) != good {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}
