package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// fetchTimeout is how long a fetch may take, both documents together.
	fetchTimeout = 5 * time.Second
	// maxDocument bounds a document of the issuer, in bytes.
	maxDocument = 256 << 10
	// maxKeys bounds the keys of the issuer. A set that is larger is not read.
	maxKeys = 100
	// minRSA is the least size of an RSA key, in bits (RFC 7518, section 3.3).
	minRSA = 2048
)

// issuer is an OpenID Connect issuer, as far as its keys go.
type issuer struct {
	url    string
	client *http.Client
}

// newTransport returns a transport for the issuer: through a proxy and with the certificates that the environment names.
func newTransport() http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxResponseHeaderBytes = 64 << 10
	return transport
}

// newClient returns a client that goes where it is sent and no further: a redirect could lead away from TLS.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// CheckIssuer says what is wrong with the URL of an issuer. It needs TLS, but for this machine's own.
func CheckIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("is not a URL like https://login.example.com")
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return errors.New("must begin with https://: whoever could change what http:// brings could sign tokens (http:// is for 127.0.0.1 and localhost)")
	}
	return nil
}

// isLoopback reports whether only this machine answers to a name or address, without a port.
func isLoopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// fetch returns the keys that the issuer publishes, by id, and for how long it says that they may be kept; less than zero if it does
// not say.
func (i *issuer) fetch(ctx context.Context) (keys map[string][]jose.JSONWebKey, fresh time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	// OpenID Connect Discovery 1.0, section 4.
	if _, err := i.get(ctx, strings.TrimSuffix(i.url, "/")+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, 0, err
	}
	if discovery.Issuer != i.url {
		return nil, 0, fmt.Errorf("the issuer at %s calls itself %q: set CLEAVE_OIDC_ISSUER to exactly that, if it is the right one", i.url, discovery.Issuer)
	}
	if err := CheckIssuer(discovery.Keys); err != nil {
		return nil, 0, fmt.Errorf("the jwks_uri of the issuer %s %w", i.url, err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	fresh, err = i.get(ctx, discovery.Keys, &set)
	switch {
	case err != nil:
		return nil, 0, err
	case set.Keys == nil:
		return nil, 0, fmt.Errorf("%s has no key set", discovery.Keys)
	case len(set.Keys) > maxKeys:
		return nil, 0, fmt.Errorf("%s has %d keys, more than %d", discovery.Keys, len(set.Keys), maxKeys)
	}
	keys = map[string][]jose.JSONWebKey{}
	for _, text := range set.Keys {
		var key jose.JSONWebKey
		// Keys of kinds that this program does not know are no reason to refuse the others (RFC 7517, section 5).
		if err := key.UnmarshalJSON(text); err == nil && usable(key) {
			keys[key.KeyID] = append(keys[key.KeyID], key)
		}
	}
	return keys, fresh, nil
}

// usable reports whether a key may verify tokens: it has a name, and is the public half of a key that signs.
func usable(key jose.JSONWebKey) bool {
	if key.KeyID == "" || key.Use != "" && key.Use != "sig" {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return public.N.BitLen() >= minRSA
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// get reads a JSON document, and returns for how long it may be kept.
func (i *issuer) get(ctx context.Context, url string, into any) (fresh time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := i.client.Do(request)
	if err != nil {
		return 0, err // It names the URL.
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answers %s", url, response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", url, err)
	}
	if len(text) > maxDocument {
		return 0, fmt.Errorf("%s is longer than %d bytes", url, maxDocument)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return 0, fmt.Errorf("read %s: %w", url, err)
	}
	return freshness(response.Header), nil
}

// freshness returns for how long an answer may be kept; less than zero if it does not say.
func freshness(header http.Header) time.Duration {
	fresh := time.Duration(-1)
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(header.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
				fresh = time.Duration(seconds) * time.Second
			}
		}
	}
	return fresh
}
