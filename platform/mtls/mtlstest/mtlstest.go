// Package mtlstest makes certificates for tests: for any unit, and wrong ones.
package mtlstest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cleave-go/cleave/platform/mtls"
	"github.com/cleave-go/cleave/platform/mtls/authority"
)

// TrustDomain is that of the certificates.
const TrustDomain = "cleave"

// Authority is who signs in a test. Its methods panic if they cannot, so that they may be used anywhere.
type Authority struct{ *authority.Authority }

// New returns an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	a, err := authority.New("test "+t.Name(), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{a}
}

// Unit returns the certificate of a unit. Each change is made to it before it is signed: that is how wrong ones come about.
func (a *Authority) Unit(unit string, changes ...func(*x509.Certificate)) authority.Pair {
	template := authority.Unit(mtls.ID{TrustDomain: TrustDomain, Unit: unit}, time.Hour)
	for _, change := range changes {
		change(template)
	}
	return a.sign(template)
}

// Public returns the certificate of a public port on this machine.
func (a *Authority) Public() authority.Pair {
	return a.sign(authority.Server(time.Hour, "localhost", "127.0.0.1", "::1"))
}

func (a *Authority) sign(template *x509.Certificate) authority.Pair {
	pair, err := a.Sign(template)
	if err != nil {
		panic(err)
	}
	return pair
}

// PEM returns the certificate of the authority.
func (a *Authority) PEM() []byte {
	pair, err := a.Pair()
	if err != nil {
		panic(err)
	}
	return pair.Cert
}

// Pool returns what a client trusts who trusts the authority.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Certificate)
	return pool
}

// Folder holds the certificates of a unit in files.
type Folder struct {
	t testing.TB
	mtls.Files
}

// NewFolder writes a pair, and authorities, into a folder of its own.
func NewFolder(t testing.TB, pair authority.Pair, authorities ...*Authority) *Folder {
	t.Helper()
	path := t.TempDir()
	f := &Folder{t, mtls.Files{Cert: filepath.Join(path, "tls.crt"), Key: filepath.Join(path, "tls.key"), CA: filepath.Join(path, "ca.crt")}}
	f.Put(pair)
	f.Trust(authorities...)
	return f
}

// Put replaces the pair.
func (f *Folder) Put(pair authority.Pair) {
	f.t.Helper()
	f.Write(f.Cert, pair.Cert)
	f.Write(f.Key, pair.Key)
}

// Trust replaces the authorities.
func (f *Folder) Trust(authorities ...*Authority) {
	f.t.Helper()
	var text strings.Builder
	for _, a := range authorities {
		text.Write(a.PEM())
	}
	f.Write(f.CA, []byte(text.String()))
}

// Write replaces a file as a whole.
func (f *Folder) Write(path string, text []byte) {
	f.t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

// Config returns what a client needs that shows a certificate, or none if it is the zero value, and asks nobody who he is: an intruder, or
// a test that knows whom it calls.
func Config(pair authority.Pair) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true} //nolint:gosec // See above.
	if len(pair.Cert) > 0 {
		certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			panic(err) // The authority has made the pair.
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config
}

// Client returns such a client of HTTP/2, with TLS and without.
func Client(t testing.TB, pair authority.Pair) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: Config(pair)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
