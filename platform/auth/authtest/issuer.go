// Package authtest is an OpenID Connect issuer for tests: over HTTP, with discovery, keys that rotate, and any token that a test can
// think of, good or broken. A process of the house under test is told its URL with [Issuer.Env].
//
//	issuer := authtest.Start(t)
//	house := topology.Start(t, topology.Unit{…, Edge: true, Env: issuer.Env()})
//	request.Header.Set("Authorization", "Bearer "+issuer.Token("usr_jane", "customer"))
package authtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/cleave-go/cleave/platform/id"
)

// Audience is what tokens of an [Issuer] are for, unless they say something else.
const Audience = "https://cleave.test"

// Issuer is an issuer. Its methods may be called concurrently; it is also its own handler.
type Issuer struct {
	// URL is how it calls itself.
	URL string

	mu           sync.Mutex
	keys         []Key // The published ones.
	signing      Key
	cacheControl string
	answer       http.HandlerFunc // Instead of the usual one.
	fetched      int
}

// Key is a key that signs tokens.
type Key struct {
	ID        string
	Algorithm jose.SignatureAlgorithm
	// Private is a private key as go-jose takes it, or the bytes of a secret.
	Private any
}

// Start starts an issuer on this machine, until the end of the test.
func Start(t testing.TB) *Issuer {
	t.Helper()
	i := New("")
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

// New returns an issuer that serves nothing by itself.
func New(url string) *Issuer {
	i := &Issuer{URL: url}
	i.Sign(i.Publish(NewKey()))
	return i
}

// NewKey returns a new key for ES256.
func NewKey() Key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // The system has no randomness.
	}
	return Key{ID: id.New("key"), Algorithm: jose.ES256, Private: private}
}

// Env is what a process of the house finds set to accept the issuer's tokens.
func (i *Issuer) Env() map[string]string {
	return map[string]string{"CLEAVE_OIDC_ISSUER": i.URL, "CLEAVE_OIDC_AUDIENCE": Audience}
}

// Publish adds a key to the published ones, and returns it. Tokens are signed with it once [Issuer.Sign] says so.
func (i *Issuer) Publish(key Key) Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
	return key
}

// Sign makes a key the one that tokens are signed with from now on, published or not.
func (i *Issuer) Sign(key Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.signing = key
}

// Signing returns the key that tokens are signed with.
func (i *Issuer) Signing() Key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.signing
}

// Withdraw publishes a key no longer.
func (i *Issuer) Withdraw(key Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	kept := i.keys[:0:0]
	for _, k := range i.keys {
		if k.ID != key.ID {
			kept = append(kept, k)
		}
	}
	i.keys = kept
}

// CacheControl sets the header of that name of the key set.
func (i *Issuer) CacheControl(value string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cacheControl = value
}

// Answer lets a handler answer instead of the issuer; nil lets the issuer answer again.
func (i *Issuer) Answer(handler http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = handler
}

// Down lets the issuer answer with errors only, or as it should again.
func (i *Issuer) Down(down bool) {
	if !down {
		i.Answer(nil)
		return
	}
	i.Answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) })
}

// Fetched returns how often the discovery document has been asked for: as often as somebody has begun to fetch the keys.
func (i *Issuer) Fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetched
}

const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/keys"
)

// ServeHTTP serves the discovery document and the key set.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	if r.URL.Path == discoveryPath {
		i.fetched++
	}
	answer := i.answer
	i.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case r.URL.Path == discoveryPath:
		write(w, map[string]any{"issuer": i.URL, "jwks_uri": strings.TrimSuffix(i.URL, "/") + keysPath})
	case r.URL.Path == keysPath:
		i.mu.Lock()
		w.Header().Set("Cache-Control", i.cacheControl)
		i.mu.Unlock()
		write(w, i.KeySet())
	default:
		http.NotFound(w, r)
	}
}

// KeySet returns the published keys.
func (i *Issuer) KeySet() jose.JSONWebKeySet {
	i.mu.Lock()
	defer i.mu.Unlock()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, key := range i.keys {
		set.Keys = append(set.Keys, key.public())
	}
	return set
}

// public returns what is published of a key. Of a secret it is all.
func (k Key) public() jose.JSONWebKey {
	whole := jose.JSONWebKey{Key: k.Private, KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig"}
	if public := whole.Public(); public.Key != nil {
		return public
	}
	return whole
}

func write(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		panic(fmt.Sprintf("encode %T: %v", document, err))
	}
}

// lifetime is how long tokens are good.
const lifetime = 10 * time.Minute
