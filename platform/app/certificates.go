package app

import (
	"context"
	"fmt"
	"net/http"
	neturl "net/url"
	"strings"
	"sync"

	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/mtls"
	"github.com/cleave-go/cleave/platform/resilience"
	"github.com/cleave-go/cleave/platform/rpc"
)

// The names of the settings of certificates. Their values are the paths themselves, because the files are read again.
const (
	tlsCert       = "CLEAVE_TLS_CERT_FILE"
	tlsKey        = "CLEAVE_TLS_KEY_FILE"
	tlsCA         = "CLEAVE_TLS_CA_FILE"
	trustDomain   = "CLEAVE_TRUST_DOMAIN"
	publicTLSCert = "CLEAVE_PUBLIC_TLS_CERT_FILE"
	publicTLSKey  = "CLEAVE_PUBLIC_TLS_KEY_FILE"
)

// publicCertificateSettings are those of a unit with a public port.
var publicCertificateSettings = []config.Setting{
	{Name: publicTLSCert, Help: "certificate of the public port in PEM, read again when it changes; the port is plain HTTP without it"},
	{Name: publicTLSKey, Help: "its key"},
}

// unitCertificateSettings are those of a unit that others call, or that calls others.
var unitCertificateSettings = []config.Setting{
	{Name: tlsCert, Help: "certificate of this unit in PEM, for its internal port and for calls of others; read again when it changes; plain HTTP without it"},
	{Name: tlsKey, Help: "its key"},
	{Name: tlsCA, Help: "certificates of the authorities that sign for the units, several while one takes over from another"},
	{Name: trustDomain, Default: "cleave", Help: "trust domain of the units: their certificates say spiffe://<trust domain>/<modules with dashes between>", Check: mtls.CheckTrustDomain},
}

// certificates are those of a unit. What is nil is plain HTTP.
type certificates struct{ units, public *mtls.Source }

// openCertificates reads the certificates that are set, and follows their changes until the unit stops.
func (u *unit) openCertificates() error {
	var c certificates
	if len(u.Edge) > 0 {
		set, err := u.together(publicTLSCert, publicTLSKey)
		if err == nil && set {
			c.public, err = mtls.OpenPublic(mtls.Files{Cert: u.values.String(publicTLSCert), Key: u.values.String(publicTLSKey)}, u.log)
		}
		if err != nil {
			return fmt.Errorf("certificate of the public port: %w", err)
		}
	}
	set, err := u.together(tlsCert, tlsKey, tlsCA)
	if err == nil && set {
		files := mtls.Files{Cert: u.values.String(tlsCert), Key: u.values.String(tlsKey), CA: u.values.String(tlsCA)}
		c.units, err = mtls.Open(files, u.values.String(trustDomain), u.checkID, u.log)
	}
	if err != nil {
		return fmt.Errorf("certificate of this unit: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	for _, source := range []*mtls.Source{c.units, c.public} {
		if source != nil {
			watching.Go(func() { source.Watch(ctx) })
		}
	}
	u.onStop(func(context.Context) {
		stop()
		watching.Wait()
	})
	u.certificates = c
	u.measureCertificates()
	return u.checkPeers()
}

// together reports whether settings are set that are of no use without each other.
func (u *unit) together(names ...string) (bool, error) {
	var set, missing []string
	for _, name := range names {
		if u.values.String(name) == "" {
			missing = append(missing, name)
		} else {
			set = append(set, name)
		}
	}
	if len(set) > 0 && len(missing) > 0 {
		return false, fmt.Errorf("%s is set: set %s, too", set[0], strings.Join(missing, " and "))
	}
	return len(set) > 0, nil
}

// checkID holds that a certificate of this unit is of this unit.
func (u *unit) checkID(id mtls.ID) error {
	held := u.names()
	if len(u.Edge) > 0 {
		held = append(held, rpc.EdgeCaller)
	}
	for _, name := range held {
		if !u.house.Holds(id.Unit, name) {
			return fmt.Errorf("it is of the unit %s, which does not hold %s: take the certificate of %s, or name what the unit holds in the units of the map, see CLEAVE_MAP_FILE",
				id.Unit, name, mtls.ID{TrustDomain: id.TrustDomain, Unit: strings.Join(held, "-")})
		}
	}
	return nil
}

// checkPeers says which module cannot be called without certificates, and logs which is called without.
func (u *unit) checkPeers() error {
	var plain []string
	local := u.local()
	for _, name := range u.neighbours(u.house) {
		if local[name] {
			continue
		}
		switch url := u.peerURL(name); {
		case !strings.HasPrefix(url, "https:"):
			plain = append(plain, name)
		case u.certificates.units == nil:
			return fmt.Errorf("module %s is at %s: set %s, %s and %s, for this unit to show who it is", name, url, tlsCert, tlsKey, tlsCA)
		}
	}
	if len(plain) > 0 {
		u.log.Warn("calls of other units are plain HTTP: whoever is between can read and change them", "modules", plain)
	}
	return nil
}

// transport returns how a module at a URL is called: with TLS only a unit that holds the module.
func (u *unit) transport(name string, at *neturl.URL) resilience.Transport {
	if u.certificates.units == nil || at.Scheme != "https" {
		return func(dial resilience.Dial) http.RoundTripper { return newTransport(dial) }
	}
	return func(dial resilience.Dial) http.RoundTripper {
		return u.certificates.units.Transport(func() *http.Transport { return newTransport(dial) }, func(id mtls.ID) error {
			if !u.house.Holds(id.Unit, name) {
				return fmt.Errorf("%s is at %s, and does not hold %s", id, at, name)
			}
			return nil
		})
	}
}
