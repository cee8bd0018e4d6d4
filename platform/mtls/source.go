package mtls

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// Files are the paths of files in PEM.
type Files struct {
	// Cert is the certificate, followed by those between it and its authority; Key is its key.
	Cert, Key string
	// CA are the certificates of the authorities that sign for the units: several while one takes over from another. It is empty for a
	// port that asks nobody who he is.
	CA string
}

// interval is how often the files are looked at.
const interval = time.Second

// Source holds what is in the files, and what they say later. Its methods may be called concurrently.
type Source struct {
	files       Files
	trustDomain string
	check       func(ID) error
	log         *slog.Logger
	now         func() time.Time

	current atomic.Pointer[material]
	// Of the goroutine that looks at the files:
	last   sight
	warned []*x509.Certificate // Of which has been told that they expire soon; of what is used, and no other.
}

// sight is what a look at the files has found, if it is not what is used.
type sight struct {
	contents
	problem string // Why they cannot be read.
	judged  bool   // It is of no use, and that has been said.
}

// material is what was in the files at one time. Whoever has checked something with it remembers the pointer.
type material struct {
	contents
	certificate tls.Certificate
	authorities *x509.CertPool
	// chain leads from the certificate to its authority; it is the certificate alone if the authorities are not known, or it is of none.
	chain []*x509.Certificate
}

// contents are those of the three files.
type contents struct{ cert, key, ca string }

// Open reads the certificate of a unit, its key and the authorities, and fails if they cannot be used. The certificate must be of the trust
// domain, and check must agree with its id.
func Open(files Files, trustDomain string, check func(ID) error, log *slog.Logger) (*Source, error) {
	return open(&Source{files: files, trustDomain: trustDomain, check: check, log: log, now: time.Now})
}

// OpenPublic reads the certificate of a port that anybody may call.
func OpenPublic(files Files, log *slog.Logger) (*Source, error) {
	return open(&Source{files: files, log: log, now: time.Now})
}

func open(s *Source) (*Source, error) {
	found, err := s.read()
	if err != nil {
		return nil, err
	}
	m, err := s.parse(found)
	if err != nil {
		return nil, err
	}
	s.current.Store(m)
	s.warn()
	return s, nil
}

// Watch looks at the files until ctx ends, and uses what they have changed to. What cannot be used, because it is half written or the key
// is of another certificate, is logged, and what was used before is used on.
func (s *Source) Watch(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.look()
		}
	}
}

// look reads the files. What has changed is used when two looks in a row have found the same: a file may be in the middle of being written,
// and two files are not replaced at one moment.
func (s *Source) look() {
	s.warn()
	found, err := s.read()
	if err == nil && found == s.current.Load().contents {
		s.last = sight{}
		return
	}
	now := sight{contents: found}
	if err != nil {
		now.problem = err.Error()
	}
	if s.last.contents != now.contents || s.last.problem != now.problem {
		s.last = now
		return
	}
	if s.last.judged {
		return
	}
	s.last.judged = true
	var m *material
	if err == nil {
		m, err = s.parse(found)
	}
	if err != nil {
		s.log.Error("certificates have changed to what cannot be used: those from before are used on", "error", err)
		return
	}
	s.current.Store(m)
	s.log.Info("certificates were read again", m.attrs()...)
}

// warn tells of a certificate that should have been renewed by now, and of an authority that should have been replaced: with it everything
// ends that it has signed, and to replace it takes longer.
func (s *Source) warn() {
	m := s.current.Load()
	s.warned = slices.DeleteFunc(s.warned, func(c *x509.Certificate) bool { return !slices.Contains(m.chain, c) })
	for i, c := range m.chain {
		if slices.Contains(s.warned, c) || c.NotAfter.Sub(s.now()) > c.NotAfter.Sub(c.NotBefore)/10 {
			continue
		}
		s.warned = append(s.warned, c)
		if i == 0 {
			s.log.Error("the certificate is about to expire, or has: renew it in its file", append(m.attrs(), "file", s.files.Cert)...)
		} else {
			s.log.Error("the authority of the certificate is about to expire, or has: replace it", "authority", c.Subject.String(), "not_after", c.NotAfter, "file", s.files.CA)
		}
	}
}

// Expires returns when what is used now is good no more: the certificate, or what it leads to if that ends before.
func (s *Source) Expires() time.Time {
	chain := s.current.Load().chain
	end := chain[0].NotAfter
	for _, c := range chain {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// attrs say in a log which certificate it is.
func (m *material) attrs() []any {
	leaf := m.certificate.Leaf
	attrs := []any{"serial", leaf.SerialNumber.Text(16), "not_after", leaf.NotAfter, "issuer", leaf.Issuer.String()}
	if id, err := IDOf(leaf); err == nil {
		attrs = append(attrs, "id", id.String())
	}
	return attrs
}

// read returns what is in the files.
func (s *Source) read() (contents, error) {
	var c contents
	for _, f := range []struct {
		path string
		into *string
	}{{s.files.Cert, &c.cert}, {s.files.Key, &c.key}, {s.files.CA, &c.ca}} {
		if f.path == "" {
			continue
		}
		text, err := os.ReadFile(f.path)
		if err != nil {
			return contents{}, err
		}
		*f.into = string(text)
	}
	return c, nil
}

// parse says what is wrong with the contents, or returns them in a form that can be used.
func (s *Source) parse(c contents) (*material, error) {
	certificate, err := tls.X509KeyPair([]byte(c.cert), []byte(c.key))
	if err != nil {
		return nil, fmt.Errorf("%s with the key in %s: %w", s.files.Cert, s.files.Key, err)
	}
	m := &material{contents: c, certificate: certificate, chain: []*x509.Certificate{certificate.Leaf}}
	if s.files.CA == "" {
		return m, nil
	}
	id, err := IDOf(certificate.Leaf)
	if err == nil && id.TrustDomain != s.trustDomain {
		err = fmt.Errorf("the certificate is of %s, and the trust domain is %s", id, s.trustDomain)
	}
	if err == nil {
		err = s.check(id)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.files.Cert, err)
	}
	if m.authorities, err = parseAuthorities([]byte(c.ca)); err != nil {
		return nil, fmt.Errorf("%s: %w", s.files.CA, err)
	}
	// In the middle of a rotation it may lead to none of them.
	if chains, err := certificate.Leaf.Verify(x509.VerifyOptions{
		Roots: m.authorities, Intermediates: intermediates(certificate), CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err == nil {
		m.chain, _ = longest(chains)
	}
	return m, nil
}

// intermediates returns what is in the file of a certificate behind it.
func intermediates(certificate tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, der := range certificate.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(c)
		}
	}
	return pool
}

// parseAuthorities takes nothing but certificates of authorities, and all of them: half a file is none.
func parseAuthorities(text []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	found := 0
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %s among the certificates of the authorities", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if !certificate.IsCA {
			return nil, fmt.Errorf("the certificate of %q is not of an authority", certificate.Subject)
		}
		pool.AddCert(certificate)
		found++
	}
	switch {
	case bytes.Contains(text, []byte("-----BEGIN")):
		return nil, errors.New("it ends in the middle of a certificate")
	case found == 0:
		return nil, errors.New("it holds no certificate")
	}
	return pool, nil
}
