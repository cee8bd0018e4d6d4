package mtls

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ID is the name of a unit: a SPIFFE id. See https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md.
type ID struct {
	TrustDomain string
	// Unit is the path of the id without its first slash, for instance "orders-payments" or "ns/shop/sa/orders".
	Unit string
}

// String returns the id as it stands in a certificate.
func (id ID) String() string { return "spiffe://" + id.TrustDomain + "/" + id.Unit }

// URL returns the id for the URIs of a certificate.
func (id ID) URL() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: id.TrustDomain, Path: "/" + id.Unit}
}

// maxID bounds a SPIFFE id, in bytes.
const maxID = 2048

// IDOf returns who a certificate is of. One that is not an X509-SVID is an error: there must be one URI and no other, and it must not be
// of an authority.
func IDOf(certificate *x509.Certificate) (ID, error) {
	if len(certificate.URIs) != 1 {
		return ID{}, fmt.Errorf("the certificate has %d URIs, and not one SPIFFE id", len(certificate.URIs))
	}
	if certificate.IsCA || certificate.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return ID{}, errors.New("the certificate is of an authority, and not of a unit")
	}
	u := certificate.URIs[0]
	id := ID{TrustDomain: u.Host, Unit: strings.TrimPrefix(u.Path, "/")}
	// What does not come out as it went in has a part that no id has: a port, a user, a query, an escape.
	if len(u.String()) > maxID || u.String() != id.String() || CheckTrustDomain(id.TrustDomain) != nil || !validUnit(id.Unit) {
		return ID{}, fmt.Errorf("%q is no SPIFFE id like spiffe://cleave/orders", u)
	}
	return id, nil
}

// CheckTrustDomain says what is wrong with the name of a trust domain.
func CheckTrustDomain(name string) error {
	if name == "" || len(name) > 255 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return fmt.Errorf("%q is no trust domain: small letters, digits, dots, dashes and underscores", name)
	}
	return nil
}

// CheckUnit says what is wrong with the name of a unit.
func CheckUnit(name string) error {
	if !validUnit(name) {
		return fmt.Errorf("%q is no name of a unit: letters, digits, dots, dashes and underscores, with slashes between", name)
	}
	return nil
}

func validUnit(name string) bool {
	for segment := range strings.SplitSeq(name, "/") {
		if segment == "" || segment == "." || segment == ".." ||
			strings.Trim(segment, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != "" {
			return false
		}
	}
	return true
}
