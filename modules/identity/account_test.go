package identity

import (
	"strings"
	"testing"

	"github.com/cleave-go/cleave/platform/statetest"
)

func TestStatesAreDrawn(t *testing.T) {
	t.Parallel()
	statetest.Drawn(t, "../../docs/states/account.md", invited, transitions)
}

func TestEmail(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" Jane@Example.COM ": "jane@example.com", "jane+shop@example.com": "jane+shop@example.com",
		"": "", "jane": "", "jane@": "", "Jane <jane@example.com>": "", "jane@example.com, john@example.com": "", "jane@example.com\r\nBcc: all@example.com": "",
		strings.Repeat("j", 250) + "@example.com": "",
	} {
		if got, err := normalEmail(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
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
