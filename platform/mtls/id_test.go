package mtls_test

import (
	"crypto/x509"
	"net/url"
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/mtls"
)

// TestID holds what is a SPIFFE id and what only looks like one.
func TestID(t *testing.T) {
	for uri, want := range map[string]string{
		"spiffe://cleave/orders":                       "orders",
		"spiffe://cleave/orders-payments":              "orders-payments",
		"spiffe://shop.example.com/ns/shop/sa/orders":  "ns/shop/sa/orders",
		"spiffe://cleave":                              "",
		"spiffe://cleave/":                             "",
		"spiffe://cleave//orders":                      "",
		"spiffe://cleave/orders/":                      "",
		"spiffe://cleave/../orders":                    "",
		"spiffe://cleave/./orders":                     "",
		"spiffe://cleave/ord%65rs":                     "",
		"spiffe://cleave/ord ers":                      "",
		"spiffe://cleave/orders?x":                     "",
		"spiffe://cleave/orders#x":                     "",
		"spiffe://cleave:443/orders":                   "",
		"spiffe://user@cleave/orders":                  "",
		"spiffe://Cleave/orders":                       "",
		"spiffe:///orders":                             "",
		"spiffe:orders":                                "",
		"https://cleave/orders":                        "",
		"spiffe://cleave/" + strings.Repeat("x", 2048): "",
	} {
		parsed, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		id, err := mtls.IDOf(&x509.Certificate{URIs: []*url.URL{parsed}})
		if id.Unit != want || (err == nil) != (want != "") {
			t.Errorf("%s is of the unit %q, %v; want %q", uri, id.Unit, err, want)
		}
		if err == nil && id.String() != uri {
			t.Errorf("%s becomes %s", uri, id)
		}
	}
}
