package auth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/cleave-go/cleave/platform/auth"
	"github.com/cleave-go/cleave/platform/rpc"
)

// drawn returns the secret of a new guest.
func drawn() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // It never fails.
	return "guest_" + base64.RawURLEncoding.EncodeToString(secret)
}

// TestGuests holds that a secret is a guest, always the same one, from whom it cannot be told.
func TestGuests(t *testing.T) {
	t.Parallel()
	authenticate := auth.WithGuests(auth.Anonymous)
	who := func(authorization string) (rpc.Principal, error) {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/", nil)
		r.Header.Set("Authorization", authorization)
		return authenticate(r)
	}
	one, other := drawn(), drawn()
	first, err := who("Bearer " + one)
	if err != nil || !rpc.IsGuest(first.Subject) || len(first.Roles)+len(first.Scopes) > 0 {
		t.Fatalf("got %+v, %v", first, err)
	}
	if again, _ := who("bearer " + one); again.Subject != first.Subject {
		t.Errorf("the same secret is %q and %q", first.Subject, again.Subject)
	}
	if second, _ := who("Bearer " + other); second.Subject == first.Subject {
		t.Errorf("two secrets are %q", first.Subject)
	}
	if strings.Contains(one, first.Subject[len(rpc.GuestPrefix):]) {
		t.Errorf("the subject %q tells of the secret", first.Subject)
	}
	encode := base64.RawURLEncoding.EncodeToString
	for name, secret := range map[string]string{
		"none": "guest_", "short": "guest_" + encode([]byte(one)[:31]), "long": "guest_" + encode([]byte(one)[:33]), "another alphabet": "guest_" + strings.Repeat("+/", 21) + "A",
		"padded": one + "=", "with bits to spare": one[:len(one)-1] + "B", "made up": "guest_" + encode(bytes.Repeat([]byte("x"), 32)),
		"of a pattern": "guest_" + encode(bytes.Repeat([]byte("abcdefgh"), 4)), "the subject": "guest_" + first.Subject, "in capitals": "GUEST_" + one[6:],
	} {
		if got, err := who("Bearer " + secret); connect.CodeOf(err) != connect.CodeUnauthenticated || !got.Anonymous() || len(secret) > 10 && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	if got, err := authenticate(httptest.NewRequest(http.MethodPost, "http://localhost/", nil)); err != nil || !got.Anonymous() {
		t.Errorf("without a secret: %+v, %v", got, err)
	}
}
