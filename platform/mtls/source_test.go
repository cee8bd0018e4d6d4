package mtls_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/mtls"
	"github.com/cleave-go/cleave/platform/mtls/authority"
	"github.com/cleave-go/cleave/platform/mtls/mtlstest"
)

// serial returns the number of the certificate that a unit shows.
func (u *unit) serial(t *testing.T) string {
	t.Helper()
	certificate, err := u.ServerConfig().GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return certificate.Leaf.SerialNumber.String()
}

// TestChange holds that what has changed to something of use is used, and that nothing else is.
func TestChange(t *testing.T) {
	t.Parallel()
	home := mtlstest.New(t)
	next := home.Unit("orders")
	for name, c := range map[string]struct {
		change func(u *unit)
		says   string // Why it is not used.
	}{
		"a new pair":                    {func(u *unit) { u.Put(next) }, ""},
		"a new certificate without key": {func(u *unit) { u.Write(u.Cert, next.Cert) }, "private key does not match public key"},
		"half a certificate":            {func(u *unit) { u.Put(next); u.Write(u.Cert, next.Cert[:len(next.Cert)/2]) }, "failed to find"},
		"an empty key":                  {func(u *unit) { u.Put(next); u.Write(u.Key, nil) }, "failed to find"},
		"no key":                        {func(u *unit) { u.Put(next); os.Remove(u.Key) }, "no such file"},
		"half an authority":             {func(u *unit) { u.Put(next); u.Write(u.CA, append(home.PEM(), home.PEM()[:200]...)) }, "it ends in the middle of a certificate"},
		"no authority":                  {func(u *unit) { u.Put(next); u.Trust() }, "it holds no certificate"},
		"a unit as authority":           {func(u *unit) { u.Put(next); u.Write(u.CA, next.Cert) }, "is not of an authority"},
		"a key as authority":            {func(u *unit) { u.Put(next); u.Write(u.CA, append(home.PEM(), next.Key...)) }, "it holds a PRIVATE KEY"},
		"a certificate without an id":   {func(u *unit) { u.Put(home.Public()) }, "0 URIs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := open(t, home.Unit("orders"), home)
			before := u.serial(t)
			c.change(u)
			u.Look()
			if u.serial(t) != before {
				t.Error("it is used at first sight, which may be in the middle of a change")
			}
			u.Look()
			if used := u.serial(t) != before; used != (c.says == "") {
				t.Errorf("it is used: %v", used)
			}
			for range 3 {
				u.Look()
			}
			if c.says != "" && (strings.Count(u.log.String(), c.says) != 1 || strings.Count(u.log.String(), "\n") != 1) {
				t.Errorf("the log says not once that %q:\n%s", c.says, u.log)
			}
			// Whatever it was, what follows is used.
			u.Put(next)
			u.Trust(home)
			u.look()
			if u.serial(t) == before {
				t.Errorf("what is put right is not used:\n%s", u.log)
			}
		})
	}
}

// TestOpen holds what a start does without.
func TestOpen(t *testing.T) {
	t.Parallel()
	home := mtlstest.New(t)
	f := mtlstest.NewFolder(t, home.Unit("orders"), home)
	log := slog.New(slog.DiscardHandler)
	for says, open := range map[string]func() error{
		"the trust domain is elsewhere": func() error {
			_, err := mtls.Open(f.Files, "elsewhere", anyone, log)
			return err
		},
		"orders is not payments": func() error {
			_, err := mtls.Open(f.Files, "cleave", func(mtls.ID) error { return errors.New("orders is not payments") }, log)
			return err
		},
		"no such file": func() error {
			_, err := mtls.OpenPublic(mtls.Files{Cert: f.Cert, Key: "nothing"}, log)
			return err
		},
		"does not match": func() error {
			mixed := mtlstest.NewFolder(t, authority.Pair{Cert: home.Public().Cert, Key: home.Public().Key})
			_, err := mtls.OpenPublic(mixed.Files, log)
			return err
		},
	} {
		if err := open(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("it says %v, want %q", err, says)
		}
	}
}

// TestExpiry holds that somebody is told, once, before a certificate expires that nobody renews.
func TestExpiry(t *testing.T) {
	t.Parallel()
	home := mtlstest.New(t)
	u := open(t, home.Unit("orders"), home)
	u.Look()
	if u.log.String() != "" {
		t.Errorf("it says:\n%s", u.log)
	}
	u.forward(55 * time.Minute)
	for range 3 {
		u.Look()
	}
	if strings.Count(u.log.String(), "about to expire") != 1 {
		t.Errorf("it says:\n%s", u.log)
	}
}

// TestAuthorityExpiry holds that somebody is told, once, before an authority expires, however young the certificates are that it signs.
func TestAuthorityExpiry(t *testing.T) {
	t.Parallel()
	home := mtlstest.New(t)
	u := open(t, home.Unit("orders"), home)
	u.Put(home.Unit("orders", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(20*time.Hour), time.Now().Add(23*time.Hour+30*time.Minute)
	}))
	u.forward(21 * time.Hour)
	u.look()
	u.Look()
	before := u.log.String()
	if strings.Contains(before, "authority") {
		t.Errorf("it says:\n%s", before)
	}
	u.forward(time.Hour)
	for range 3 {
		u.Look()
	}
	if after := strings.TrimPrefix(u.log.String(), before); strings.Count(after, "the authority of the certificate is about to expire") != 1 || strings.Count(after, "\n") != 1 {
		t.Errorf("it says:\n%s", u.log)
	}
}

// TestTransport holds that a client goes over to new connections when it has to, and lets what is under way come to its end.
func TestTransport(t *testing.T) {
	t.Parallel()
	home := mtlstest.New(t)
	orders, payments := open(t, home.Unit("orders"), home), open(t, home.Unit("payments"), home)
	url, connections := payments.serve(t)
	client := orders.client(t, anyone)
	call := func(what string, want int32) {
		t.Helper()
		if answer, err := get(t, client, url); answer != "200 orders" {
			t.Fatalf("%s: it gets %q, %v", what, answer, err)
		}
		if got := connections.Load(); got != want {
			t.Errorf("%s: there were %d connections, want %d", what, got, want)
		}
	}
	call("the first call", 1)
	orders.forward(mtls.MaxAge - time.Minute)
	call("a later call", 1)
	orders.forward(time.Minute)
	call("a call after the age", 2)

	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		response, err := client.Post(url, "text/plain", reader)
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		ended <- err
	}()
	if _, err := writer.Write([]byte("x")); err != nil { // The request is under way.
		t.Fatal(err)
	}
	orders.Put(home.Unit("orders"))
	orders.look()
	call("a call with a new certificate", 3)
	writer.Close()
	if err := <-ended; err != nil {
		t.Errorf("the call that was under way: %v", err)
	}
	orders.Trust(home, mtlstest.New(t))
	orders.look()
	call("a call with more authorities", 4)
}

var _ http.RoundTripper = (*mtls.Transport)(nil)
