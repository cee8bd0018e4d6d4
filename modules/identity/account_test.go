package identity

import (
	"strings"
	"testing"

	"buf.build/go/protovalidate"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/platform/mailaddr"
	"github.com/cleave-go/cleave/platform/statetest"
)

func TestStatesAreDrawn(t *testing.T) {
	t.Parallel()
	statetest.Drawn(t, "../../docs/states/account.md", invited, transitions)
}

// An account is known by the address that a guest orders with, however either types it: what one takes, so does the other.
func TestEmail(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" Jane@Example.COM ": "jane@example.com", "jane+shop@example.com": "jane+shop@example.com",
		"": "", "jane": "", "jane@": "", "Jane <jane@example.com>": "", "jane@example.com, john@example.com": "", "jane@example.com\r\nBcc: all@example.com": "",
		strings.Repeat("j", 250) + "@example.com": "",
		"jane@Kelvin.example":                     "jane@kelvin.example", "jane@\u212Aelvin.example": "", "jäne@example.com": "", "jane@münchen.example": "", "j..d@example.com": "j..d@example.com", "jane@[127.0.0.1]": "", "jane@-example.com": "",
	} {
		if got, err := mailaddr.Normal(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
		claim := &ordersv1.ClaimGuestOrdersRequest{RequestId: "claim", UserId: "usr_1", Email: strings.TrimSpace(text)}
		if err := protovalidate.Validate(claim); (err == nil) != (want != "") {
			t.Errorf("orders finds of %q: %v", text, err)
		}
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"correct horse battery staple": true, "zwölfzeichen": true, "elf zeichen": false, "": false, "jane@example.com": false, "JANE@example.com": false, strings.Repeat("x", 513): false,
	} {
		if err := checkPassword(text, "jane@example.com"); (err == nil) != good {
			t.Errorf("%q: %v, want it good: %t", text, err, good)
		}
	}
}

func TestHashes(t *testing.T) {
	t.Parallel()
	h := newHasher()
	hash, err := h.hash(t.Context(), password)
	must(t, err)
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash is %s", hash)
	}
	for _, c := range []struct {
		hash, password string
		want           bool
	}{{hash, password, true}, {hash, password + "x", false}, {hash, "", false}, {"", password, false}, {"", "", false}} {
		if got, err := h.verify(t.Context(), c.hash, c.password); err != nil || got != c.want {
			t.Errorf("%q for %q: %t, %v, want %t", c.password, c.hash, got, err, c.want)
		}
	}
}
