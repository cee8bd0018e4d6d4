package mtls_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cleave-go/cleave/platform/mtls"
	"github.com/cleave-go/cleave/platform/mtls/authority"
	"github.com/cleave-go/cleave/platform/mtls/mtlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// anyone agrees with every unit.
func anyone(mtls.ID) error { return nil }

// clock is a time that a test sets.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time              { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(ahead time.Duration) { c.ahead.Add(int64(ahead)) }

// unit is one with certificates in files.
type unit struct {
	*mtlstest.Folder
	*mtls.Source
	*clock
	log *lockedBuffer
}

func open(t *testing.T, pair authority.Pair, authorities ...*mtlstest.Authority) *unit {
	t.Helper()
	u := &unit{Folder: mtlstest.NewFolder(t, pair, authorities...), clock: &clock{}, log: &lockedBuffer{}}
	source, err := mtls.OpenAt(u.Files, mtlstest.TrustDomain, anyone, slog.New(slog.NewTextHandler(u.log, nil)), u.now)
	if err != nil {
		t.Fatal(err)
	}
	u.Source = source
	return u
}

// look lets the unit find what has changed.
func (u *unit) look() {
	u.Look()
	u.Look()
}

// serve serves units and answers each with its name. It returns its URL, and what counts its connections.
func (u *unit) serve(t *testing.T) (url string, connections *atomic.Int32) {
	t.Helper()
	connections = &atomic.Int32{}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	server := &http.Server{
		TLSConfig: u.ServerConfig(), Protocols: protocols, ErrorLog: log.New(u.log, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			connections.Add(1)
			return u.ConnContext(ctx, c)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if id, _, err := u.Peer(r); err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
			} else {
				w.(http.Flusher).Flush()
				_, _ = io.Copy(io.Discard, r.Body)
				fmt.Fprint(w, id.Unit)
			}
		}),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.ServeTLS(listener, "", "") // Until it is closed.
	}()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
	return "https://" + listener.Addr().String(), connections
}

// client returns a client of units.
func (u *unit) client(t *testing.T, accept func(mtls.ID) error) *http.Client {
	transport := u.Transport(func() *http.Transport {
		protocols := new(http.Protocols)
		protocols.SetHTTP2(true)
		made := &http.Transport{Protocols: protocols, IdleConnTimeout: time.Minute}
		t.Cleanup(made.CloseIdleConnections)
		return made
	}, accept)
	return &http.Client{Transport: transport}
}

// get returns what a server answers: the status and the text.
func get(t *testing.T, client *http.Client, url string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, bytes.TrimSpace(text)), err
}

// wrong are certificates that nobody accepts, and what is said of them.
func wrong(t *testing.T, home *mtlstest.Authority) map[string]struct {
	pair authority.Pair
	says string
} {
	uris := func(texts ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.URIs = nil
			for _, text := range texts {
				uri, err := url.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				c.URIs = append(c.URIs, uri)
			}
		}
	}
	return map[string]struct {
		pair authority.Pair
		says string
	}{
		"another authority":    {mtlstest.New(t).Unit("orders"), "unknown authority"},
		"an expired one":       {home.Unit("orders", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "expired"},
		"one of tomorrow":      {home.Unit("orders", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), "not yet valid"},
		"no SPIFFE id":         {home.Unit("orders", uris()), "0 URIs"},
		"two URIs":             {home.Unit("orders", uris("spiffe://cleave/orders", "spiffe://cleave/payments")), "2 URIs"},
		"another URI":          {home.Unit("orders", uris("https://cleave/orders")), "is no SPIFFE id"},
		"another trust domain": {home.Unit("orders", uris("spiffe://elsewhere/orders")), "the trust domain is cleave"},
		"one for mail":         {home.Unit("orders", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} }), "key usage"},
		"one of an authority":  {home.Unit("orders", func(c *x509.Certificate) { c.IsCA = true }), "of an authority"},
	}
}

// TestStrangers holds whom a port for units lets in.
func TestStrangers(t *testing.T) {
	t.Parallel()
	home := mtlstest.New(t)
	payments := open(t, home.Unit("payments"), home)
	// By its address, so without a name of a host in the handshake.
	url, _ := payments.serve(t)
	if answer, err := get(t, mtlstest.Client(t, home.Unit("orders")), url); answer != "200 orders" || err != nil {
		t.Fatalf("a unit gets %q, %v", answer, err)
	}
	strangers := wrong(t, home)
	for name, c := range strangers {
		t.Run(name, func(t *testing.T) {
			if answer, err := get(t, mtlstest.Client(t, c.pair), url); err == nil {
				t.Errorf("it gets %q", answer)
			}
			payments.log.expect(t, c.says)
		})
	}
	if answer, err := get(t, mtlstest.Client(t, authority.Pair{}), url); err == nil {
		t.Errorf("who shows none gets %q", answer)
	}
	old := mtlstest.Client(t, home.Unit("orders"))
	old.Transport.(*http.Transport).TLSClientConfig.MinVersion = tls.VersionTLS10
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
	if answer, err := get(t, old, url); err == nil {
		t.Errorf("TLS 1.2 gets %q", answer)
	}
}

// TestImpostors holds whom a client takes for a unit.
func TestImpostors(t *testing.T) {
	t.Parallel()
	home := mtlstest.New(t)
	orders := open(t, home.Unit("orders"), home)
	isPayments := func(id mtls.ID) error {
		if id.Unit != "payments" {
			return errors.New(id.Unit + " is not payments")
		}
		return nil
	}
	serve := func(t *testing.T, pair authority.Pair) string {
		certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		server.TLS, server.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{certificate}}, true
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	}
	if _, err := get(t, orders.client(t, isPayments), serve(t, home.Unit("payments"))); err != nil {
		t.Fatalf("payments is not taken for payments: %v", err)
	}
	impostors := wrong(t, home)
	impostors["another unit"] = struct {
		pair authority.Pair
		says string
	}{home.Unit("orders"), "orders is not payments"}
	for name, c := range impostors {
		t.Run(name, func(t *testing.T) {
			if _, err := get(t, orders.client(t, isPayments), serve(t, c.pair)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it is taken for payments: %v", err)
			}
		})
	}
}

// TestOldConnection holds that nobody lives on on a connection that was made when he was still welcome.
func TestOldConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(payments *unit, home, next *mtlstest.Authority)
		want   string
	}{
		"nothing changes":                {func(*unit, *mtlstest.Authority, *mtlstest.Authority) {}, "200 orders"},
		"the certificate expires":        {func(p *unit, _, _ *mtlstest.Authority) { p.forward(2 * time.Hour) }, "403 the certificate of the peer: x509: certificate has expired"},
		"the authority is removed":       {func(p *unit, _, next *mtlstest.Authority) { p.Trust(next) }, "403 the certificate of the peer: x509: certificate signed by unknown authority"},
		"another authority is added":     {func(p *unit, home, next *mtlstest.Authority) { p.Trust(next, home) }, "200 orders"},
		"the port's own pair is renewed": {func(p *unit, _, next *mtlstest.Authority) { p.Put(next.Unit("payments")) }, "200 orders"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home, next := mtlstest.New(t), mtlstest.New(t)
			payments := open(t, home.Unit("payments"), home)
			url, connections := payments.serve(t)
			client := mtlstest.Client(t, home.Unit("orders"))
			for range 2 {
				if answer, err := get(t, client, url); answer != "200 orders" {
					t.Fatalf("at first it gets %q, %v", answer, err)
				}
			}
			c.change(payments, home, next)
			payments.look()
			if answer, err := get(t, client, url); !strings.HasPrefix(answer, c.want) {
				t.Errorf("then it gets %q, %v; want %q", answer, err, c.want)
			}
			if connections.Load() != 1 {
				t.Errorf("there were %d connections", connections.Load())
			}
		})
	}
}

// TestEnd holds that no request outlives the certificate that it came with.
func TestEnd(t *testing.T) {
	t.Parallel()
	home := mtlstest.New(t)
	payments := open(t, home.Unit("payments"), home)
	expiry := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	for want, pair := range map[time.Time]authority.Pair{
		expiry: home.Unit("orders", func(c *x509.Certificate) { c.NotAfter = expiry }),
		{}:     home.Unit("orders", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10 * time.Hour) }),
	} {
		certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate.Leaf}}
		before := time.Now()
		_, end, err := payments.Peer(r)
		if err != nil {
			t.Fatal(err)
		}
		if want.IsZero() && (end.Before(before.Add(time.Hour)) || end.After(time.Now().Add(time.Hour))) || !want.IsZero() && !end.Equal(want) {
			t.Errorf("it ends at %v, want %v, or in an hour", end, want)
		}
	}
}

// TestRenewedAuthority holds that a request does not end with the older certificate of an authority that has been renewed with its key.
func TestRenewedAuthority(t *testing.T) {
	t.Parallel()
	home := mtlstest.New(t)
	whole, err := home.Pair()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(whole.Cert, whole.Key)
	if err != nil {
		t.Fatal(err)
	}
	older := *pair.Leaf
	older.NotAfter = time.Now().Add(5 * time.Minute)
	der, err := x509.CreateCertificate(rand.Reader, &older, &older, pair.Leaf.PublicKey, pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	before := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	shown := home.Unit("orders")
	orders, err := tls.X509KeyPair(shown.Cert, shown.Key)
	if err != nil {
		t.Fatal(err)
	}
	for name, authorities := range map[string][]byte{"the older one first": append(bytes.Clone(before), whole.Cert...), "the older one last": append(bytes.Clone(whole.Cert), before...)} {
		payments := open(t, home.Unit("payments"), home)
		payments.Write(payments.CA, authorities)
		payments.look()
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{orders.Leaf}}
		if _, end, err := payments.Peer(r); err != nil || time.Until(end) < 10*time.Minute {
			t.Errorf("%s: it ends at %v, %v", name, end, err)
		}
	}
}

// lockedBuffer is a log that is written and read at once.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// expect waits until the log says something.
func (b *lockedBuffer) expect(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(b.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %q:\n%s", text, b)
		}
	}
}
