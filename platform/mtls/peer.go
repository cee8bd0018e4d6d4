package mtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// verify returns who a peer is and for how long, or why it is nobody: its certificate must lead to one of the authorities, be valid now,
// be for this use, and name a unit of the trust domain.
func (s *Source) verify(m *material, peer []*x509.Certificate, usage x509.ExtKeyUsage) (id ID, until time.Time, err error) {
	if len(peer) == 0 {
		return ID{}, until, errors.New("the peer has shown no certificate")
	}
	between := x509.NewCertPool()
	for _, certificate := range peer[1:] {
		between.AddCert(certificate)
	}
	chains, err := peer[0].Verify(x509.VerifyOptions{
		Roots: m.authorities, Intermediates: between, CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return ID{}, until, fmt.Errorf("the certificate of the peer: %w", err)
	}
	if id, err = IDOf(peer[0]); err != nil {
		return ID{}, until, fmt.Errorf("peer: %w", err)
	}
	if id.TrustDomain != s.trustDomain {
		return ID{}, until, fmt.Errorf("the peer is %s, and the trust domain is %s", id, s.trustDomain)
	}
	_, until = longest(chains)
	return id, until, nil
}

// longest returns the chain that is valid for longest, and until when. There are several while an authority has two certificates of the
// same key: an older one, and one with which it was renewed.
func longest(chains [][]*x509.Certificate) (best []*x509.Certificate, until time.Time) {
	for _, chain := range chains {
		first := slices.MinFunc(chain, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
		if best == nil || first.NotAfter.After(until) {
			best, until = chain, first.NotAfter
		}
	}
	return best, until
}

// ServerConfig returns the configuration of a port for units.
func (s *Source) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: s.certificate,
		// That it leads to an authority is checked below, with the authorities of that moment.
		ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, _, err := s.verify(s.current.Load(), state.PeerCertificates, x509.ExtKeyUsageClientAuth)
			return err
		},
		// Connections live long; what is not resumed has been checked whole.
		SessionTicketsDisabled: true,
	}
}

// PublicConfig returns the configuration of a port that anybody may call.
func (s *Source) PublicConfig() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate}
}

// certificate serves every name alike. With it in the place of a list of certificates, clients that name no host get it, too.
func (s *Source) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &s.current.Load().certificate, nil
}

// clientConfig returns the configuration of calls to units that accept agrees with.
func (s *Source) clientConfig(accept func(ID) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &s.current.Load().certificate, nil
		},
		// What is not verified is the name of the host: the unit is, by VerifyConnection, which is always called.
		InsecureSkipVerify: true, //nolint:gosec
		VerifyConnection: func(state tls.ConnectionState) error {
			id, _, err := s.verify(s.current.Load(), state.PeerCertificates, x509.ExtKeyUsageServerAuth)
			if err != nil {
				return err
			}
			return accept(id)
		},
	}
}

// maxRequest bounds a request from a unit: its certificate is looked at when it begins. It is longer than any stream of the house.
const maxRequest = time.Hour

// connection is what has been found out about a connection.
type connection struct{ peer atomic.Pointer[verified] }

// verified is who a peer is by the authorities of a time.
type verified struct {
	by    *material
	id    ID
	until time.Time
}

type connectionKey struct{}

// ConnContext is for the [http.Server] whose requests [Source.Peer] is asked about.
func (s *Source) ConnContext(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, &connection{})
}

// Peer returns which unit sends a request, and until when the request may last. It is an error if the unit's certificate has expired since
// the connection was made, or its authority is trusted no more.
func (s *Source) Peer(r *http.Request) (ID, time.Time, error) {
	if r.TLS == nil {
		return ID{}, time.Time{}, errors.New("the peer has shown no certificate")
	}
	m, now := s.current.Load(), s.now()
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	if c == nil {
		c = &connection{}
	}
	peer := c.peer.Load()
	if peer == nil || peer.by != m || now.After(peer.until) {
		id, until, err := s.verify(m, r.TLS.PeerCertificates, x509.ExtKeyUsageClientAuth)
		if err != nil {
			return ID{}, time.Time{}, err
		}
		peer = &verified{m, id, until}
		c.peer.Store(peer)
	}
	end := now.Add(maxRequest)
	if peer.until.Before(end) {
		end = peer.until
	}
	return peer.id, end, nil
}
